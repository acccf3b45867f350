//! Errors of partner accounts.
