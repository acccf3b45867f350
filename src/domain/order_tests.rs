use proptest::prelude::*;

use super::*;

fn positions(order: &str) -> Vec<usize> {
    let problems = Order::parse(order).expect_err(order);
    problems.into_iter().map(|problem| problem.position).collect()
}

fn fields(order: &str) -> Vec<OrderField> {
    Order::parse(order).expect(order).keys().iter().map(|key| key.field).collect()
}

#[test]
fn an_order_ends_with_account_and_id() {
    assert_eq!(fields(""), [OrderField::Account, OrderField::Id]);
    assert_eq!(
        fields("company_name desc , create_time"),
        [OrderField::CompanyName, OrderField::CreateTime, OrderField::Account, OrderField::Id]
    );
    assert_eq!(fields("domain,name desc,company_name"), [OrderField::Domain, OrderField::Account, OrderField::Id]);
}

#[test]
fn an_order_prints_in_the_syntax_it_is_parsed_from() {
    for (order, printed) in [
        ("", "name"),
        ("  company_name   desc,create_time asc", "company_name desc, create_time, name"),
        ("name desc", "name desc"),
        ("verified_at, name desc, domain", "verified_at, name desc"),
    ] {
        let order = Order::parse(order).expect(order);
        assert_eq!(order.to_string(), printed);
        assert_eq!(Order::parse(printed), Ok(order));
    }
}

#[test]
fn all_problems_of_an_order_are_told_at_once_where_they_are() {
    assert_eq!(positions("note, company_name down, domain desc desc, ,name"), [0, 6, 25, 43]);
    assert_eq!(positions("domain, domain desc"), [8]);
    assert_eq!(positions("name,company_name,name"), [18]);
    assert_eq!(positions(","), [0, 1]);
    assert_eq!(positions("company_name DESC"), [0]);
    assert_eq!(positions(&",".repeat(1_000_000)), [LENGTH_MAX]);
    assert_eq!(positions("company_name\u{0}"), [0]);
}

#[test]
fn a_position_of_another_order_is_none_of_this_one() {
    let order = Order::parse("company_name, verified_at").expect("a sound order");
    let id = "01890000-0000-7000-8000-000000000000";
    assert!(Position::parse(&format!("contoso/{id}/t2:\u{101}m-5:"), &order).is_some());
    assert!(Position::parse(&format!("contoso/{id}/t2:a/m:"), &order).is_some());
    let others = [
        format!("contoso/{id}"),
        format!("contoso/{id}/t1:a"),
        format!("contoso/{id}/m1:t1:a"),
        format!("contoso/{id}/t1:am1:m1:"),
        format!("contoso/{id}/t1:\u{101}m1:"),
        format!("contoso/{id}/t99:am1:"),
        format!("contoso/{id}/t-1:am1:"),
        format!("contoso/{id}/t1:am99999999999999999999:"),
        format!("Contoso/{id}/t1:am1:"),
        "contoso/1/t1:am1:".to_owned(),
        String::new(),
    ];
    for other in others {
        assert_eq!(Position::parse(&other, &order), None, "{other}");
    }
}

proptest! {
    #[test]
    fn a_position_comes_back_from_its_text(texts in proptest::collection::vec(any::<String>(), 2), micros in any::<Option<i64>>()) {
        let order = Order::parse("company_name desc, verified_at, domain").expect("a sound order");
        let position = Position {
            account: "contoso".parse().expect("a well-formed id"),
            id: "01890000-0000-7000-8000-000000000000".parse().expect("a well-formed id"),
            values: vec![
                OrderValue::Text(texts[0].clone()),
                OrderValue::Time(micros.map(Timestamp::from_micros)),
                OrderValue::Text(texts[1].clone()),
            ],
        };
        prop_assert_eq!(Position::parse(&position.to_string(), &order), Some(position));
    }

    #[test]
    fn parsing_an_order_or_a_position_never_panics(text in any::<String>(), number in 0_usize..9, tail in "[tm0-9:/-]{0,12}\\PC?") {
        let _ = Order::parse(&text);
        let order = Order::parse("company_name, create_time").expect("a sound order");
        let _ = Position::parse(&text, &order);
        let _ = Position::parse(&format!("contoso/01890000-0000-7000-8000-000000000000/t{number}:{tail}"), &order);
    }
}
