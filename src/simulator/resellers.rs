//! The indirect resellers of an indirect provider, and which of them serves which customer: what is held, how it is
//! listed (FACTS.md 2.2, 2.3), and playing Microsoft with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::audit::AuditEntry;
use super::continuation::{self, Continuation, Listing};
use super::faults::Effect;
use super::operations::AuditTrail;
use super::partner::{PartnerCenter, PartnerKind};
use super::profiles::{self, Actor};
use super::query::Query;
use super::{Error, Simulator, guid};

/// The first members of the resellers that a seed makes.
const SEEDED: [(&str, &str); 6] = [
    ("Adatum Cloud Services", "LV"),
    ("Fourth Coffee IT", "EE"),
    ("Lamna Managed Services", "LT"),
    ("Proseware Systems", "FI"),
    ("Relecloud Partners", "SE"),
    ("Wide World IT", "DK"),
];
/// Every so many-th seeded customer has a second reseller.
const SECOND_RESELLER_EVERY: usize = 7;
/// Every so many-th seeded customer buys from the provider itself.
const NO_RESELLER_EVERY: usize = 11;

/// One indirect reseller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reseller {
    /// The reseller's own tenant.
    #[serde(with = "guid")]
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// Its id in the Microsoft Partner Network.
    #[serde(default)]
    pub mpn_id: Option<String>,
    /// Its ISO country.
    #[serde(default)]
    pub location: Option<String>,
}

/// The resellers of one partner.
#[derive(Debug, Default)]
pub(super) struct Resellers {
    pub(super) resellers: BTreeMap<Uuid, Reseller>,
    /// Who serves a customer, by the customer's tenant.
    pub(super) serving: BTreeMap<Uuid, BTreeSet<Uuid>>,
}

impl Resellers {
    pub(super) fn serves(&self, reseller: Uuid, customer: Uuid) -> bool {
        self.resellers.contains_key(&reseller)
            && self.serving.get(&customer).is_some_and(|serving| serving.contains(&reseller))
    }

    /// Gives a new customer resellers by its place among the new ones.
    fn share_out(&mut self, customer: Uuid, place: usize) {
        let ids: Vec<_> = self.resellers.keys().copied().collect();
        if ids.is_empty() || (place + 1).is_multiple_of(NO_RESELLER_EVERY) {
            return;
        }
        let serving = self.serving.entry(customer).or_default();
        serving.insert(ids[place % ids.len()]);
        if (place + 1).is_multiple_of(SECOND_RESELLER_EVERY) {
            serving.insert(ids[(place + 1) % ids.len()]);
        }
    }
}

/// Gives the customers of an indirect provider, new ones in the order they came, resellers; makes some if there are none.
pub(super) fn seed(center: &mut PartnerCenter, customers: &[Uuid]) {
    if center.partner.kind != PartnerKind::IndirectProvider {
        return;
    }
    let partner = center.partner.tenant_id.as_u128();
    if center.resellers.resellers.is_empty() {
        for (place, (name, location)) in (1_u128..).zip(SEEDED) {
            // A tenant of its own for each provider's resellers; version and variant of the UUID stay.
            let id = Uuid::from_u128((partner & !0xffff) | 0x0000_7e5e_0000_0000_0000_0000_0000_0000 | (place << 32));
            let reseller = Reseller {
                id,
                name: name.to_owned(),
                mpn_id: Some((4_700_000 + place).to_string()),
                location: Some(location.to_owned()),
            };
            center.resellers.resellers.insert(id, reseller);
        }
    }
    for (place, customer) in customers.iter().enumerate() {
        center.resellers.share_out(*customer, place);
    }
}

/// Gives a customer that arrived by itself a reseller, always the same one.
pub(super) fn arrived(center: &mut PartnerCenter, customer: Uuid) {
    let known = center.resellers.serving.contains_key(&customer);
    if known || center.resellers.resellers.is_empty() {
        return;
    }
    let count = center.resellers.resellers.len() as u128;
    let place = usize::try_from(customer.as_u128() % count).unwrap_or(0);
    let chosen = center.resellers.resellers.keys().nth(place).copied();
    center.resellers.serving.entry(customer).or_default().extend(chosen);
}

/// Lets in whoever may ask about resellers: a user (FACTS.md 1.5) of an indirect provider (FACTS.md 2.3).
///
/// # Errors
///
/// Answers 403/900329 to an application alone and 403/1002 to another kind of partner.
pub(super) fn admit(center: &PartnerCenter, of_user: bool) -> Result<(), Answer> {
    if !of_user {
        return Err(Answer::application_not_allowed());
    }
    match center.partner.kind {
        PartnerKind::IndirectProvider => Ok(()),
        PartnerKind::DirectBill | PartnerKind::IndirectReseller => {
            Err(Answer::fault(StatusCode::FORBIDDEN, 1002, "Authorization failed."))
        }
    }
}

/// Answers one page of `GET /v1/relationships`.
///
/// # Errors
///
/// As [`admit`]; 400 for another type of relationship, a bad size or continuation token.
pub(super) fn page(
    center: &PartnerCenter,
    query: &Query,
    of_user: bool,
    effects: &[Effect],
    now: DateTime<Utc>,
) -> Result<Answer, Answer> {
    admit(center, of_user)?;
    let start = match query.continuation() {
        Some(token) => Continuation::decode(token, Listing::Resellers, center, now)?,
        None => Continuation {
            listing: Listing::Resellers,
            partner: center.partner.tenant_id,
            issued: now.timestamp(),
            size: center.knobs.page_size(query).ok_or_else(|| Answer::invalid_input("The size is not a number."))?,
            after: None,
            conditions: Vec::new(),
        },
    };
    let asked = query.get("relationship_type").unwrap_or_default();
    if query.continuation().is_none() && !asked.eq_ignore_ascii_case("IsIndirectCloudSolutionProviderOf") {
        return Err(Answer::invalid_input("The relationship type is not supported."));
    }
    let after: Option<Uuid> = start.after.as_deref().and_then(|id| id.parse().ok());
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = center.resellers.resellers.range((begin, Bound::Unbounded)).map(|(_, reseller)| reseller);
    let mut items: Vec<_> = rest.by_ref().take(start.size).collect();
    let mut more = rest.next().is_some();
    let mut last = items.last().map(|reseller| reseller.id);
    for effect in effects {
        match effect {
            Effect::EmptyList => (items, more) = (Vec::new(), false),
            Effect::ShortList { items: kept } => {
                items.truncate(*kept);
                more = false;
            }
            Effect::LoopingNextLink => (last, more) = (after, true),
            _ => {}
        }
    }
    let next = Continuation { after: last.map(|id| id.to_string()), issued: now.timestamp(), ..start };
    let version = if center.knobs.link_with_version { "/v1" } else { "" };
    let mut body = json!({
        "totalCount": items.len(),
        "items": items.into_iter().map(item).collect::<Vec<_>>(),
        "attributes": {"objectType": "Collection"},
    });
    // The documentation shows no links here; they are there only when there is another page.
    if more {
        body["links"] = json!({"next": {
            "uri": format!("{version}/relationships?size={}&seekOperation=Next", next.size),
            "method": "GET",
            "headers": [{"key": continuation::HEADER, "value": next.encode()}],
        }});
    }
    Ok(Answer::resource(body))
}

/// Answers `GET /v1/customers/{id}/relationships`: who serves the customer, without state and location.
///
/// # Errors
///
/// As [`admit`].
pub(super) fn of_customer(center: &PartnerCenter, customer: &str, of_user: bool) -> Result<Answer, Answer> {
    admit(center, of_user)?;
    let serving = Uuid::parse_str(customer).ok().and_then(|id| center.resellers.serving.get(&id));
    let found = serving.into_iter().flatten().filter_map(|id| center.resellers.resellers.get(id));
    let items: Vec<_> = found
        .map(|reseller| Reseller { location: None, ..reseller.clone() })
        .map(|reseller| {
            let mut item = item(&reseller);
            item["state"] = Value::Null;
            item
        })
        .collect();
    Ok(Answer::resource(json!({
        "totalCount": items.len(), "items": items, "attributes": {"objectType": "Collection"},
    })))
}

fn item(reseller: &Reseller) -> Value {
    json!({
        "id": reseller.id.to_string(),
        "name": reseller.name,
        "relationshipType": "is_indirect_cloud_solution_provider_of",
        "state": "Active",
        "mpnId": reseller.mpn_id,
        "location": reseller.location,
        "attributes": {"objectType": "PartnerRelationship"},
    })
}

fn relationship_record(operation: &str) -> AuditEntry {
    AuditEntry {
        resource_type: "partner_relationship".to_owned(),
        operation_type: operation.to_owned(),
        ..AuditEntry::default()
    }
}

impl Simulator {
    /// The resellers of a partner, by tenant id.
    pub fn resellers(&self, partner: Uuid) -> Vec<Reseller> {
        self.with(partner, |center, _| center.resellers.resellers.values().cloned().collect()).unwrap_or_default()
    }

    /// Who serves the customer, by tenant id.
    pub fn resellers_of(&self, partner: Uuid, customer: Uuid) -> BTreeSet<Uuid> {
        let serving = |center: &mut PartnerCenter| {
            let known = center.resellers.serving.get(&customer).cloned().unwrap_or_default();
            known.into_iter().filter(|id| center.resellers.resellers.contains_key(id)).collect()
        };
        self.with(partner, |center, _| serving(center)).unwrap_or_default()
    }

    /// A reseller becomes the provider's, or gets another name; the audit log tells of a new one if it is to.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn put_reseller(&self, partner: Uuid, reseller: Reseller, trail: AuditTrail) -> Result<(), Error> {
        self.with(partner, |center, now| {
            let is_new = center.resellers.resellers.insert(reseller.id, reseller).is_none();
            if is_new && trail == AuditTrail::Recorded {
                profiles::record(center, relationship_record("create_partner_relationship"), Actor::User, now);
            }
        })
    }

    /// A reseller is no longer the provider's; the audit log tells if it is to.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner or reseller.
    pub fn remove_reseller(&self, partner: Uuid, reseller: Uuid, trail: AuditTrail) -> Result<(), Error> {
        self.with(partner, |center, now| {
            center.resellers.resellers.remove(&reseller).ok_or(Error::UnknownReseller)?;
            if trail == AuditTrail::Recorded {
                profiles::record(center, relationship_record("remove_partner_relationship"), Actor::User, now);
            }
            Ok(())
        })?
    }

    /// From now on these resellers serve the customer, and no others; the audit log does not tell.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner, customer or reseller.
    pub fn serve_by(&self, partner: Uuid, customer: Uuid, resellers: &[Uuid]) -> Result<(), Error> {
        self.with(partner, |center, _| {
            if !center.customers.contains_key(&customer) {
                return Err(Error::UnknownCustomer);
            }
            if resellers.iter().any(|id| !center.resellers.resellers.contains_key(id)) {
                return Err(Error::UnknownReseller);
            }
            center.resellers.serving.insert(customer, resellers.iter().copied().collect());
            Ok(())
        })?
    }
}
