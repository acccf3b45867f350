//! Acts for a user by a refresh token (FACTS 1.2, 1.3): every use brings a newer one, which is kept before the access
//! token that came with it is used.
//!
//! Where refresh tokens are kept, this module does not know: a [`RefreshTokenKeeper`] does. A user who is ruled out stays so
//! until somebody acts or a day has passed, and the sign-in service is not asked meanwhile.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::partner_center::blockage::Blockage;
use crate::partner_center::error::{Call, Error, Problem};
use crate::partner_center::identity::Identity;
use crate::partner_center::token_request::TokenDesk;
use crate::partner_center::transport::{Answer, Transport, fresh_trace};

/// How often another token is used because somebody else replaced the one that was used.
const RACES_MAX: usize = 3;
/// How long nobody asks after a refusal that is not the user's alone, such as that of the application.
const REFUSED_REST: Duration = Duration::from_secs(15 * 60);

/// The refresh tokens of an account as they are now.
#[derive(Debug)]
pub struct RefreshTokens {
    /// Grows with every change.
    pub version: i64,
    /// The newest.
    pub newest: SecretString,
    /// The one before it, until the newest has worked.
    pub former: Option<SecretString>,
    /// Why nobody asks now.
    pub barred: Option<Barred>,
}

/// Why nobody asks for a user now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barred {
    /// The [`Blockage`]'s name.
    pub reason: String,
    /// The sign-in service's code.
    pub code: Option<String>,
}

/// What came of a use.
#[derive(Debug)]
pub struct Renewed {
    /// Which version was used.
    pub version: i64,
    /// The token that worked.
    pub worked: SecretString,
    /// The newer one; a sign-in service may give none, and then the one that worked stays.
    pub newer: Option<SecretString>,
}

/// Why refresh tokens cannot be had or kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeeperError {
    /// There is none any more.
    #[error("there is no refresh token")]
    None,
    /// It cannot be opened.
    #[error("the refresh token cannot be opened")]
    Unreadable,
    /// That passes.
    #[error("refresh tokens cannot be kept now")]
    Unavailable,
}

/// Keeps the refresh tokens of one account, whoever else uses them too.
pub trait RefreshTokenKeeper: fmt::Debug + Send + Sync {
    /// The tokens as they are now.
    fn current(&self) -> BoxFuture<'_, Result<RefreshTokens, KeeperError>>;
    /// Keeps what came of a use, on the disk, before it returns; `false` when somebody else was faster.
    fn keep(&self, renewed: Renewed) -> BoxFuture<'_, Result<bool, KeeperError>>;
    /// Remembers that the user is ruled out until somebody acts, unless somebody else changed the token meanwhile.
    fn note_refused(&self, version: i64, refused: Refused) -> BoxFuture<'_, Result<(), KeeperError>>;
}

/// Why a user is ruled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The [`Blockage`]'s name.
    pub reason: &'static str,
    /// The sign-in service's code.
    pub code: Option<String>,
    /// What to do.
    pub remedy: &'static str,
}

/// The user of one account.
#[derive(Debug)]
pub(super) struct UserGrant {
    keeper: Arc<dyn RefreshTokenKeeper>,
    rest: Mutex<Option<(Timestamp, Error)>>,
}

/// What an answer has to be before it is kept.
pub(super) struct Granted<T> {
    pub(super) token: T,
    pub(super) refresh_token: Option<SecretString>,
}

impl UserGrant {
    pub(super) fn new(keeper: Arc<dyn RefreshTokenKeeper>) -> Self {
        Self { keeper, rest: Mutex::default() }
    }

    /// Signs in for the user, by `accept` of the answer.
    pub(super) async fn sign_in<T>(
        &self,
        desk: &TokenDesk,
        transport: &Transport,
        accept: impl Fn(&Answer) -> Result<Granted<T>, Error>,
    ) -> Result<T, Error> {
        let now = transport.clock.now();
        let mut rest = self.rest.lock().await;
        if let Some((until, error)) =
            rest.as_ref().filter(|(until, _)| now < *until && until.since(now) <= REFUSED_REST)
        {
            tracing::debug!(until = %until, "nobody asks for the user yet");
            return Err(error.clone());
        }
        *rest = None;
        for _ in 0..RACES_MAX {
            let tokens = self.keeper.current().await.map_err(unkept)?;
            if let Some(barred) = &tokens.barred {
                return Err(blocked(Blockage::named(&barred.reason), barred.code.clone()));
            }
            let version = tokens.version;
            match self.use_one_of(tokens, desk, transport, &accept).await {
                Ok((token, renewed)) => {
                    if self.keeper.keep(renewed).await.map_err(unkept)? {
                        return Ok(token);
                    }
                }
                Err(error) => {
                    if let Some(refused) = ruled_out(&error) {
                        self.keeper.note_refused(version, refused).await.map_err(unkept)?;
                    } else if matches!(error.problem, Problem::Blocked { .. }) {
                        *rest = Some((now.plus(REFUSED_REST), error.clone()));
                    }
                    return Err(error);
                }
            }
        }
        Err(unkept(KeeperError::Unavailable))
    }

    /// Nobody asks for a while: what the user's token was used for was refused although the token was fresh.
    pub(super) async fn rest_after(&self, error: &Error, now: Timestamp) {
        *self.rest.lock().await = Some((now.plus(REFUSED_REST), error.clone()));
    }

    /// Uses the newest token, or the one before it if that one still works.
    async fn use_one_of<T>(
        &self,
        tokens: RefreshTokens,
        desk: &TokenDesk,
        transport: &Transport,
        accept: impl Fn(&Answer) -> Result<Granted<T>, Error>,
    ) -> Result<(T, Renewed), Error> {
        let RefreshTokens { version, newest, former, barred: _ } = tokens;
        let scope = format!("{} offline_access", desk.scope);
        let mut first_refusal = None;
        for worked in std::iter::once(newest).chain(former) {
            let form = [("refresh_token", worked.expose_secret()), ("scope", scope.as_str())];
            let answered = desk.ask(transport, "refresh_token", &form).await.and_then(|answer| accept(&answer));
            match answered.map_err(|error| error.on_behalf_of(Identity::User)) {
                Ok(Granted { token, refresh_token }) => {
                    let newer = refresh_token.filter(|newer| newer.expose_secret() != worked.expose_secret());
                    return Ok((token, Renewed { version, worked, newer }));
                }
                Err(error) if ruled_out(&error).is_some() => first_refusal = first_refusal.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        // Invariant: there is a newest token, so that either it worked or its refusal is here.
        Err(first_refusal.unwrap_or_else(|| unkept(KeeperError::None)))
    }
}

/// Whether an error rules the user out until somebody acts, and what is remembered of it then.
fn ruled_out(error: &Error) -> Option<Refused> {
    let Problem::Blocked { blockage, code, .. } = &error.problem else { return None };
    let of_the_user = matches!(
        blockage,
        Blockage::ConsentNeeded | Blockage::ConditionalAccess | Blockage::MfaRequired | Blockage::TenantMismatch
    );
    let remedy = blockage.advice(Identity::User, code.as_deref());
    of_the_user.then(|| Refused { reason: blockage.reason(), code: code.clone(), remedy })
}

fn blocked(blockage: Option<Blockage>, code: Option<String>) -> Error {
    let blockage = blockage.unwrap_or(Blockage::ConsentNeeded);
    let problem = Problem::Blocked { blockage, status: None, code };
    Error::new(Call::AccessToken, problem, fresh_trace()).on_behalf_of(Identity::User)
}

fn unkept(error: KeeperError) -> Error {
    match error {
        KeeperError::None => blocked(Some(Blockage::UserSignInMissing), None),
        KeeperError::Unreadable => blocked(Some(Blockage::RefreshTokenUnreadable), None),
        KeeperError::Unavailable => {
            Error::new(Call::AccessToken, Problem::NotKept, fresh_trace()).on_behalf_of(Identity::User)
        }
    }
}
