//! Errors of explanations.
