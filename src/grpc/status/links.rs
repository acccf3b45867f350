//! Errors of links.
