//! The indirect resellers of an indirect provider, and the customers of each (FACTS 2.2, 2.3).
//!
//! Both are told only to an application that acts for a user (FACTS 1.5). A direct-bill partner is refused.

use std::collections::BTreeSet;

use crate::domain::ids::TenantId;
use crate::domain::reseller::{ListedReseller, Reseller};
use crate::domain::text::tidy;
use crate::partner_center::PartnerCenter;
use crate::partner_center::document::{Document, Object};
use crate::partner_center::error::{Call, Error};
use crate::partner_center::identity::Identity;
use crate::partner_center::links::PageLink;
use crate::partner_center::profile;
use crate::partner_center::request::Question;

/// Asks for the partners whose provider this partner is.
const OUR_RESELLERS: &str = "relationship_type=IsIndirectCloudSolutionProviderOf";

/// One page of an indirect provider's resellers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResellerPage {
    /// The resellers, in Partner Center's order, each once.
    pub resellers: Vec<ListedReseller>,
    /// Items without a readable id.
    pub skipped: usize,
    /// The page after this one; a listing is complete only when there is none.
    pub next: Option<PageLink>,
}

/// One page of the customers of one reseller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResellerCustomerPage {
    /// The customers' tenants.
    pub tenants: BTreeSet<TenantId>,
    /// Items without a readable id.
    pub skipped: usize,
    /// The page after this one; a listing is complete only when there is none.
    pub next: Option<PageLink>,
}

impl PartnerCenter {
    /// One page of the indirect resellers of this provider: the first one, or the one that `link` leads to.
    ///
    /// # Errors
    ///
    /// [`Fate::UserBlocked`](crate::partner_center::error::Fate) when nobody may ask on behalf of a user;
    /// [`Error::says_there_are_no_resellers`] of a partner that is no indirect provider.
    pub async fn list_resellers(&self, link: Option<&PageLink>) -> Result<ResellerPage, Error> {
        let question = Question {
            call: Call::ListResellers,
            identity: Identity::User,
            path: "/v1/relationships",
            query: Some(link.map_or(OUR_RESELLERS, PageLink::query)),
            headers: link.and_then(PageLink::header_map).unwrap_or_default(),
        };
        let reply = self.0.ask(question).await?;
        let document = Document::read_forgiving(&reply.body).map_err(|_| reply.unreadable("no JSON"))?;
        read_page(&document).map_err(|what| reply.unreadable(what))
    }

    /// One page of the customers that the reseller serves: the first one, or the one that `link` leads to.
    ///
    /// # Errors
    ///
    /// As [`Self::list_resellers`]; [`Fate::ListingRestart`](crate::partner_center::error::Fate) when this reseller's list
    /// cannot be read or go on from `link`.
    pub async fn customers_of_reseller(
        &self,
        reseller: TenantId,
        link: Option<&PageLink>,
    ) -> Result<ResellerCustomerPage, Error> {
        let first_page = first_page_of(reseller);
        let query = link.map_or(first_page.as_str(), PageLink::query);
        let headers = link.and_then(PageLink::header_map).unwrap_or_default();
        let page = self.customer_page_for(Call::ListResellerCustomers, Identity::User, query, headers).await?;
        let tenants = page.customers.into_iter().map(|customer| customer.tenant_id).collect();
        Ok(ResellerCustomerPage { tenants, skipped: page.skipped, next: page.next })
    }
}

/// FACTS 2.2, to the letter: the filter's JSON, percent-encoded. A tenant id needs no encoding.
fn first_page_of(reseller: TenantId) -> String {
    format!(
        "size=0&filter=%7B%22Field%22%3A%22IndirectReseller%22%2C%22Value%22%3A%22{reseller}%22%2C%22Operator%22%3A%22\
         starts_with%22%7D"
    )
}

fn read_page(document: &Document) -> Result<ResellerPage, &'static str> {
    let page = document.object().ok_or("no object")?;
    // A page without `items` is not an empty page: no reseller may look gone because an answer was not a list.
    let items = page.list("items").ok().flatten().ok_or("no list of items")?;
    let next = PageLink::after(page, "relationships").map_err(|_| "a next link to nowhere")?;
    let (mut resellers, mut skipped, mut met) = (Vec::new(), 0, BTreeSet::new());
    for item in items {
        // A list that was asked for one type of relationship may hold others.
        if item.is_some_and(is_of_another_type) {
            continue;
        }
        match item.and_then(listed) {
            // A partner with two roles is listed twice.
            Some(listed) if !met.insert(listed.reseller.tenant_id) => {}
            Some(listed) => resellers.push(listed),
            None => skipped += 1,
        }
    }
    Ok(ResellerPage { resellers, skipped, next })
}

fn listed(item: Object<'_>) -> Option<ListedReseller> {
    let text = |name| {
        let raw = item.text_or_empty(name);
        tidy(&raw[..raw.floor_char_boundary(profile::TEXT_MAX)])
    };
    let reseller = Reseller {
        tenant_id: item.text_or_empty("id").trim().parse().ok()?,
        display_name: text("name"),
        mpn_id: item.number_or_text("mpnId").map(|id| tidy(&id)).unwrap_or_default(),
    };
    Some(ListedReseller { reseller, location: text("location"), state: text("state") })
}

/// Whether the item says that it is no reseller of ours. One that says nothing, or something new, is what was asked for.
fn is_of_another_type(item: Object<'_>) -> bool {
    let said = item.text_or_empty("relationshipType").replace('_', "").to_ascii_lowercase();
    matches!(said.trim(), "none" | "isindirectresellerof")
}

#[cfg(test)]
#[path = "relationships_tests.rs"]
mod tests;
