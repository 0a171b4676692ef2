//! What a refused request still brings.
//!
//! A connection that is closed while unread bytes arrive is reset, and then the client may lose the answer that tells what was
//! wrong (RFC 9112, section 9.6). So the rest of a body is read and dropped, within bounds, before the answer is given.

use crate::bounds::MAX_BODY;
use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use futures::stream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most bytes that are dropped: a client that means well sends no more.
const MOST: usize = 16 << 20;
/// Longest time that they may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads what the handlers behind it leave of a body.
pub(crate) async fn read(request: Request, next: Next) -> Response {
    // An ordinary body has come with its head, or nearly so.
    let ordinary = request.body().size_hint().upper().is_some_and(|most| most <= MAX_BODY as u64);
    if ordinary || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let waits_to_be_asked = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let rest = Rest { body: Arc::new(Mutex::new(body.into_data_stream())), asked: Arc::default() };
    let response = next.run(Request::from_parts(parts, rest.clone().into_body())).await;
    // A client that waits for 100 Continue sends nothing unless the body was asked for.
    if !waits_to_be_asked || rest.asked.load(Ordering::Relaxed) {
        drop(tokio::time::timeout(PATIENCE, rest.drop_all()).await);
    }
    response
}

/// A body that can be read on by others.
#[derive(Clone)]
struct Rest {
    body: Arc<Mutex<BodyDataStream>>,
    asked: Arc<AtomicBool>,
}

impl Rest {
    fn into_body(self) -> Body {
        Body::from_stream(stream::poll_fn(move |context| {
            self.asked.store(true, Ordering::Relaxed);
            self.body.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
        }))
    }

    async fn drop_all(self) {
        let mut bytes = self.into_body().into_data_stream();
        let mut dropped = 0;
        while let Some(Ok(some)) = bytes.next().await
            && dropped < MOST
        {
            dropped += some.len();
        }
    }
}
