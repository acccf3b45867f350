//! `GET /v1/customers`: pages, filters, and the ways a page can mislead (FACTS.md 2.1, 2.2).

use std::collections::BTreeSet;
use std::ops::Bound;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::continuation::{self, Continuation, Listing};
use super::customer::{Customer, link};
use super::faults::Effect;
use super::mutation::mutated;
use super::partner::PartnerCenter;
use super::query::{FieldFilter, Query};
use super::resellers;

/// Which customers a listing shows.
#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Everyone,
    CompanyName(String),
    Domain(String),
    /// Served by the reseller of that tenant; nobody's if it is none.
    Reseller(Option<Uuid>),
}

/// Answers one page.
///
/// # Errors
///
/// Answers 400 for a bad size, filter or continuation token, 403 for a filter that needs a user.
pub(super) fn page(
    center: &PartnerCenter,
    query: &Query,
    of_user: bool,
    effects: &[Effect],
    hides: &BTreeSet<Uuid>,
    now: DateTime<Utc>,
) -> Result<Answer, Answer> {
    let start = start(center, query, now)?;
    let condition = Condition::parse(start.conditions.first().map(String::as_str))?;
    if matches!(condition, Condition::Reseller(_)) {
        resellers::admit(center, of_user)?;
    }
    let after = start.after.as_deref().and_then(|id| id.parse().ok());
    let (mut items, mut more) = select(center, &condition, after, start.size, (effects, hides));
    let mut last = items.last().map(|customer| customer.id);
    let (mut host, mut total) = (None, None);
    for effect in effects {
        match effect {
            Effect::EmptyList => (items, more) = (Vec::new(), false),
            Effect::ShortList { items: kept } => {
                items.truncate(*kept);
                more = false;
            }
            Effect::DuplicateAcrossPages if items.len() > 1 => {
                last = Some(items[items.len() - 2].id);
            }
            Effect::LoopingNextLink => (last, more) = (after, true),
            Effect::BackwardsNextLink => (last, more) = (None, true),
            Effect::SkipPage if more => {
                let (skipped, beyond) = select(center, &condition, last, start.size, (effects, hides));
                (last, more) = (skipped.last().map(|customer| customer.id), beyond);
            }
            Effect::LieTotal { total_count } => total = Some(*total_count),
            Effect::ForeignNextLink { host: other } => (host, more) = (Some(other.as_str()), true),
            _ => {}
        }
    }
    let next = Continuation { after: last.map(|id| id.to_string()), issued: now.timestamp(), ..start };
    let mut links = json!({"self": link(&uri(center, &next, ""))});
    if more {
        links["next"] = next_link(center, &next, host);
    }
    let [ahead, behind] = shown_again(center, effects, after.is_none(), !more);
    let item = |customer: &Customer| mutated(customer.list_item(), customer.id, effects);
    let shown: Vec<_> = ahead.into_iter().chain(items.into_iter().map(item)).chain(behind).collect();
    Ok(Answer::resource(json!({
        "totalCount": total.unwrap_or(shown.len() as u64),
        "items": shown,
        "links": links,
        "attributes": {"objectType": "Collection"},
    })))
}

/// The entries of customers that the list shows once more: before the others of the first page, behind those of the last.
fn shown_again(center: &PartnerCenter, effects: &[Effect], is_first: bool, is_last: bool) -> [Vec<Value>; 2] {
    let mut entries = [Vec::new(), Vec::new()];
    for effect in effects {
        let Effect::ListedAgain { customer, ahead, relationship, company_name } = effect else { continue };
        let Some(known) = center.customers.get(customer) else { continue };
        let mut entry = known.list_item();
        if let Some(relationship) = relationship {
            entry["relationshipToPartner"] = json!(relationship);
        }
        if let Some(name) = company_name {
            entry["companyProfile"]["companyName"] = json!(name);
        }
        if *ahead && is_first {
            entries[0].push(entry);
        } else if !*ahead && is_last {
            entries[1].push(entry);
        }
    }
    entries
}

/// Finds where this call starts: at its continuation token, or at the beginning.
fn start(center: &PartnerCenter, query: &Query, now: DateTime<Utc>) -> Result<Continuation, Answer> {
    // The swagger types the operation as a number, the documentation as a name.
    let seeks_next =
        query.get("seekoperation").is_some_and(|operation| operation.eq_ignore_ascii_case("next") || operation == "0");
    if seeks_next {
        let token = query.continuation().ok_or_else(continuation::expired)?;
        return Continuation::decode(token, Listing::Customers, center, now);
    }
    Ok(Continuation {
        listing: Listing::Customers,
        partner: center.partner.tenant_id,
        issued: now.timestamp(),
        size: center.knobs.page_size(query).ok_or_else(|| Answer::invalid_input("The size is not a number."))?,
        after: None,
        conditions: query.get("filter").map(str::to_owned).into_iter().collect(),
    })
}

fn select<'a>(
    center: &'a PartnerCenter,
    condition: &Condition,
    after: Option<Uuid>,
    size: usize,
    (effects, hides): (&[Effect], &BTreeSet<Uuid>),
) -> (Vec<&'a Customer>, bool) {
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    let hidden = |id: Uuid| {
        let by_fault = |effect: &Effect| matches!(effect, Effect::HideFromList { customer } if *customer == id);
        hides.contains(&id) || effects.iter().any(by_fault)
    };
    let mut matching = center
        .customers
        .range((begin, Bound::Unbounded))
        .map(|(_, customer)| customer)
        .filter(|customer| condition.holds(center, customer) && !hidden(customer.id));
    let items: Vec<_> = matching.by_ref().take(size).collect();
    (items, matching.next().is_some())
}

impl Condition {
    fn parse(filter: Option<&str>) -> Result<Self, Answer> {
        let Some(filter) = filter else {
            return Ok(Self::Everyone);
        };
        let filter = FieldFilter::parse(filter).ok_or_else(|| Answer::invalid_input("The filter is not valid."))?;
        if !filter.operator.eq_ignore_ascii_case("starts_with") {
            return Err(Answer::invalid_input("The operator is not supported."));
        }
        let prefix = filter.value.to_lowercase();
        match filter.field.as_str() {
            "CompanyName" => Ok(Self::CompanyName(prefix)),
            "Domain" => Ok(Self::Domain(prefix)),
            "IndirectReseller" => Ok(Self::Reseller(prefix.parse().ok())),
            "IndirectCloudSolutionProvider" => Err(Answer::application_not_allowed()),
            _ => Err(Answer::invalid_input("The field is not supported.")),
        }
    }

    fn holds(&self, center: &PartnerCenter, customer: &Customer) -> bool {
        match self {
            Self::Everyone => true,
            Self::CompanyName(prefix) => customer.listed_name().to_lowercase().starts_with(prefix),
            Self::Domain(prefix) => customer.domain.to_lowercase().starts_with(prefix),
            Self::Reseller(reseller) => reseller.is_some_and(|id| center.resellers.serves(id, customer.id)),
        }
    }
}

/// Whether the call asks for the customers of a reseller, at its first page or a later one.
pub(super) fn is_about_a_reseller(query: &Query) -> bool {
    let continued = query.continuation().and_then(Continuation::peek);
    let filter = match &continued {
        Some(continued) => continued.conditions.first().map(String::as_str),
        None => query.get("filter"),
    };
    matches!(Condition::parse(filter), Ok(Condition::Reseller(_)))
}

fn next_link(center: &PartnerCenter, next: &Continuation, host: Option<&str>) -> Value {
    let relative = uri(center, next, "&seekOperation=Next");
    let uri = host.map_or_else(|| relative.clone(), |host| format!("https://{host}{relative}"));
    json!({
        "uri": uri,
        "method": "GET",
        "headers": [{"key": continuation::HEADER, "value": next.encode()}],
    })
}

fn uri(center: &PartnerCenter, page: &Continuation, seek: &str) -> String {
    let version = if center.knobs.link_with_version { "/v1" } else { "" };
    format!("{version}/customers?size={}{seek}", page.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_by_provider_needs_a_user_and_one_by_reseller_names_a_tenant() {
        let filter = |field: &str, value: &str| {
            let filter = format!(r#"{{"Field":"{field}","Value":"{value}","Operator":"starts_with"}}"#);
            Condition::parse(Some(&filter))
        };
        assert_eq!(filter("IndirectCloudSolutionProvider", "x"), Err(Answer::application_not_allowed()));
        assert_eq!(filter("IndirectReseller", "x"), Ok(Condition::Reseller(None)));
        let reseller = Uuid::from_u128(7);
        assert_eq!(filter("IndirectReseller", &reseller.to_string()), Ok(Condition::Reseller(Some(reseller))));
    }

    #[test]
    fn the_prefix_of_a_filter_ignores_case() {
        let filter = r#"{"Field":"CompanyName","Value":"LINDEN","Operator":"starts_with"}"#;
        assert_eq!(Condition::parse(Some(filter)), Ok(Condition::CompanyName("linden".to_owned())));
    }
}
