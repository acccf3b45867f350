//! Errors of holds.
