//! Further applications that may call for a partner: each with its own sight of the customers, so that credentials of the
//! right tenant can still show the wrong list.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::guid;
use super::partner::PartnerCenter;
use super::token::Claims;
use super::{Error, Simulator};

/// An application beside the partner's own; or, with that one's id, a further secret of it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Application {
    /// The application id that asks for tokens.
    pub client_id: String,
    /// Its secret; never printed by `Debug` nor by the control API.
    pub client_secret: String,
    /// The partner whose tokens it gets instead, as an application of several tenants may.
    #[serde(default, with = "guid::optional")]
    pub tokens_of: Option<Uuid>,
    /// The partner whose customers it is shown instead.
    #[serde(default, with = "guid::optional")]
    pub shows: Option<Uuid>,
    /// The customers it does not see.
    #[serde(default, with = "guid::several")]
    pub hides: BTreeSet<Uuid>,
}

impl fmt::Debug for Application {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Application").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What a call sees.
#[derive(Default)]
pub(super) struct Sight {
    /// Whose customers.
    pub(super) partner: Uuid,
    /// And which of them not.
    pub(super) hides: BTreeSet<Uuid>,
}

impl PartnerCenter {
    /// Whom the application with these credentials gets tokens of: `None` when the secret is wrong.
    ///
    /// # Errors
    ///
    /// When there is no such application.
    pub(super) fn tokens_for(&self, client_id: &str, client_secret: &str) -> Result<Option<Uuid>, NoSuchApplication> {
        let own = (self.partner.client_id.as_str(), self.partner.client_secret.as_str(), self.partner.tenant_id);
        let others = self.applications.iter().map(|application| {
            let tokens_of = application.tokens_of.unwrap_or(self.partner.tenant_id);
            (application.client_id.as_str(), application.client_secret.as_str(), tokens_of)
        });
        let mut named = std::iter::once(own).chain(others).filter(|(id, ..)| *id == client_id).peekable();
        if named.peek().is_none() {
            return Err(NoSuchApplication);
        }
        Ok(named.find(|(_, secret, _)| *secret == client_secret).map(|(.., tenant)| tenant))
    }

    /// Tells whether any application has that id.
    pub(super) fn knows_application(&self, client_id: &str) -> bool {
        self.partner.client_id == client_id
            || self.applications.iter().any(|application| application.client_id == client_id)
    }

    /// What the application of a token sees.
    pub(super) fn sight_of(&self, claims: &Claims) -> Sight {
        let own = Sight { partner: self.partner.tenant_id, hides: BTreeSet::new() };
        let application = self.applications.iter().find(|application| application.client_id == claims.appid);
        application.map_or(own, |application| Sight {
            partner: application.shows.unwrap_or(self.partner.tenant_id),
            hides: application.hides.clone(),
        })
    }
}

/// No application of the tenant has that id.
pub(super) struct NoSuchApplication;

impl Simulator {
    /// Registers a further application of a partner's. One that has exactly that id and secret gets the new sight.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn add_application(&self, partner: Uuid, application: Application) -> Result<(), Error> {
        if let Some(other) = application.tokens_of.filter(|other| *other != partner) {
            // Its own tenant knows it as well.
            self.with(other, |center, _| center.register(Application { tokens_of: None, ..application.clone() }))?;
        }
        self.with(partner, |center, _| center.register(application))
    }

    /// The further applications of a partner.
    pub fn applications(&self, partner: Uuid) -> Vec<Application> {
        self.with(partner, |center, _| center.applications.clone()).unwrap_or_default()
    }

    /// Takes the further applications away; their tokens are no longer accepted.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn remove_applications(&self, partner: Uuid) -> Result<(), Error> {
        self.with(partner, |center, _| center.applications.clear())
    }
}

impl PartnerCenter {
    fn register(&mut self, application: Application) {
        let same = |known: &Application| {
            (&known.client_id, &known.client_secret) == (&application.client_id, &application.client_secret)
        };
        self.applications.retain(|known| !same(known));
        self.applications.push(application);
    }
}
