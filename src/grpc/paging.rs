//! Where the next page of a list begins: in a page token, which is good for as long as the store goes on from the state it
//! was told in.

use std::fmt::Display;

use tonic::Status;

use crate::domain::ids::ChangePosition;
use crate::grpc::page_token::TokenContext;
use crate::grpc::{Serving, status};
use crate::store::Place;

/// Between where the store was and where the page begins.
const MARK: char = '\n';

impl Serving {
    /// The place that a page token holds, as `parse` reads it; nothing without a token.
    pub(super) async fn begin_of_page<T>(
        &self,
        context: TokenContext<'_>,
        token: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let opened = self.page_tokens.open(context, token).map_err(|_| status::invalid_page_token())?;
        // Those of the first releases do not tell where the store was.
        let place = match opened.split_once(MARK) {
            Some((told_at, place)) => {
                let told_at = told_at_of(told_at).ok_or_else(status::invalid_page_token)?;
                if !self.store.continues(&told_at).await.map_err(|error| status::store(&error))? {
                    return Err(status::store_restored());
                }
                place
            }
            None => &opened,
        };
        parse(place).map(Some).ok_or_else(status::invalid_page_token)
    }

    /// The token of the page that begins there; empty when there is none.
    pub(super) async fn next_page_token(
        &self,
        context: TokenContext<'_>,
        place: Option<impl Display>,
    ) -> Result<String, Status> {
        let Some(place) = place else { return Ok(String::new()) };
        let here = self.store.here().await.map_err(|error| status::store(&error))?;
        let told_at = here.generation.map(|generation| format!("{generation} {}{MARK}", here.position));
        let place = format!("{}{place}", told_at.unwrap_or_default());
        self.page_tokens.seal(context, &place).ok_or_else(status::no_randomness)
    }
}

fn told_at_of(text: &str) -> Option<Place> {
    let (generation, position) = text.split_once(' ')?;
    let position = ChangePosition(position.parse().ok()?);
    Some(Place { generation: Some(generation.parse().ok()?), position })
}
