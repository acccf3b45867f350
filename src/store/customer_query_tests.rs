use super::*;

/// A text of letters that no fragment of ours has in this order, in every place where a caller may write.
#[test]
fn a_value_never_reaches_the_text() {
    let filter = "company_name = \"*qzx'\" note:\"qzx'\" labels.qzx:* labels.qzx < \"qzx'\" domain = \"qzx'*\"
        billing_contact.email = \"*qzx'*\" \"qzx'\" OR NOT external_reference = \"qzx'\"";
    let filter = Filter::parse(filter).expect("a sound filter");
    let order = Order::parse("company_name desc, verified_at, external_reference").expect("a sound order");
    let accounts: BTreeSet<PartnerAccountId> =
        ["qzx", "qzx-2"].map(|name| name.parse().expect("a well-formed id")).into();
    let place = "qzx/01890000-0000-7000-8000-000000000000/t4:qzx'm1700000000000000:t4:qzx'";
    let after = Position::parse(place, &order).expect("a sound position");
    let wanted = CustomerQuery { accounts: accounts.clone(), filter, order, deleted: Deleted::Shown };
    let query = select(&accounts, &wanted, Some(&after), 7);
    assert!(!query.text.contains("qzx") && !query.text.contains("1700000000000000"), "{}", query.text);
    let holds = |value: &&Value| matches!(value, Value::Text(text) if text.contains("qzx"));
    // Two accounts, eight tests (the bare word in four fields, labels.qzx < with a key and a value), and the
    // position, whose company name, reference and account are compared twice.
    assert_eq!(query.values.iter().filter(holds).count(), 2 + 12 + 6, "{:?}", query.values);
}

#[test]
fn the_default_order_of_one_account_is_a_range_of_its_primary_key() {
    let accounts = BTreeSet::from(["contoso".parse().expect("a well-formed id")]);
    let order = Order::default();
    let after = Position::parse("contoso/01890000-0000-7000-8000-000000000000", &order).expect("a sound position");
    let wanted = CustomerQuery { accounts: accounts.clone(), order, ..CustomerQuery::default() };
    let query = select(&accounts, &wanted, Some(&after), 7);
    let (_, condition) = query.text.rsplit_once("WHERE").expect("a condition");
    assert_eq!(condition, " c.account IN ($1) AND c.deleted_at IS NULL AND (c.id > $2) ORDER BY c.id LIMIT $3");
}
