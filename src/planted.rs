//! Bugs on purpose: each shows that the history test finds its kind. A normal build contains none of them.
//!
//! `planted!("name")` is the constant `false` unless the crate was compiled with `CUSTOMER_GUARD_PLANTED_BUGS` in the
//! environment; then it is whether `PLANTED_BUG` names this one when the program runs. See `tests/histories`.

/// Whether this build can hold bugs at all.
pub(crate) const POSSIBLE: bool = option_env!("CUSTOMER_GUARD_PLANTED_BUGS").is_some();

/// Whether the bug of that name is planted.
macro_rules! planted {
    ($name:literal) => {
        $crate::planted::POSSIBLE && std::env::var_os("PLANTED_BUG").is_some_and(|planted| planted == $name)
    };
}
