//! What can be called, and how often each was.

use serde::{Deserialize, Serialize};

/// The kinds of call that counters and faults tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The token endpoint.
    Token,
    /// `GET /v1/customers`.
    List,
    /// `GET /v1/customers/{id}`.
    Get,
    /// `GET` or `PUT /v1/customers/{id}/profiles/billing`.
    Billing,
    /// Audit records, listed or one by id.
    Audit,
    /// Reads under `/webhooks/v1/registration`.
    Registration,
    /// Writes under `/webhooks/v1/registration`.
    RegistrationWrite,
    /// `GET /v1/relationships`, and of one customer.
    Resellers,
    /// `GET /v1/customers` of one reseller.
    ResellerCustomers,
    /// The partner's own profiles.
    Profile,
    /// Everything else.
    Other,
}

/// How often a partner called what. A throttled call counts under its route as well as under `throttled`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    /// See [`Route::Token`].
    pub token: u64,
    /// See [`Route::List`].
    pub list: u64,
    /// See [`Route::Get`].
    pub get: u64,
    /// See [`Route::Billing`].
    pub billing: u64,
    /// See [`Route::Audit`].
    pub audit: u64,
    /// See [`Route::Registration`].
    pub registration: u64,
    /// See [`Route::RegistrationWrite`].
    pub registration_writes: u64,
    /// See [`Route::Resellers`].
    pub resellers: u64,
    /// See [`Route::ResellerCustomers`].
    pub reseller_customers: u64,
    /// See [`Route::Profile`].
    pub profile: u64,
    /// See [`Route::Other`].
    pub other: u64,
    /// Calls answered 429, by the limiter or by a fault.
    pub throttled: u64,
}

impl Calls {
    pub(super) fn count(&mut self, route: Route) {
        let counter = match route {
            Route::Token => &mut self.token,
            Route::List => &mut self.list,
            Route::Get => &mut self.get,
            Route::Billing => &mut self.billing,
            Route::Audit => &mut self.audit,
            Route::Registration => &mut self.registration,
            Route::RegistrationWrite => &mut self.registration_writes,
            Route::Resellers => &mut self.resellers,
            Route::ResellerCustomers => &mut self.reseller_customers,
            Route::Profile => &mut self.profile,
            Route::Other => &mut self.other,
        };
        *counter += 1;
    }
}
