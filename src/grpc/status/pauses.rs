//! Errors of pauses.
