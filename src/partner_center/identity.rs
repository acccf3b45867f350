//! On whose behalf a call is made (FACTS 1.5): some are open to an application alone, some only to one that acts for a user.

/// On whose behalf a call is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The application's own. Every account has it, and no multi-factor authentication is asked of it.
    #[default]
    Application,
    /// A user's, for whom the application acts. Only accounts with a refresh token have it.
    User,
}
