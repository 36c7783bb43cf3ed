//! A server that takes everything and says nothing, for a while or for ever.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures_util::{StreamExt, stream};

use super::{Shared, State};

/// One of the connections, and what is asked on it.
#[derive(Clone, Debug)]
pub struct Place {
    pub connection: usize,
    /// The resource of a watch.
    pub watched: Option<String>,
}

impl Place {
    fn is_silent(&self, state: &State) -> bool {
        let is_held = |plural: &String| state.settings.held.contains(&plural.as_str());
        state.settings.is_paused
            || self.connection < state.dead_connections
            || self.watched.as_ref().is_some_and(is_held)
    }

    /// Waits until something may be said here.
    pub async fn may_speak(&self, shared: &Shared) {
        shared.wait_until(|state| !self.is_silent(state)).await;
    }
}

/// An answer whose parts, and whose end, come when something may be said.
pub fn held(shared: &Arc<Shared>, place: Place, answer: Response) -> Response {
    let (head, body) = answer.into_parts();
    let begin = (body.into_data_stream(), Arc::clone(shared), place);
    let chunks = stream::unfold(begin, |(mut chunks, shared, place)| async move {
        let chunk = chunks.next().await;
        place.may_speak(&shared).await;
        chunk.map(|chunk| (chunk, (chunks, shared, place)))
    });
    Response::from_parts(head, Body::from_stream(chunks))
}
