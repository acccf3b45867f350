//! Errors of watches.
