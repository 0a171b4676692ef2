//! One answer, and how it travels.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Largest pause between two pieces of a slow body.
const SLOW_TICK: Duration = Duration::from_millis(50);
/// Time for the sent part of a cut body to leave before the connection ends.
const BEFORE_CUT: Duration = Duration::from_millis(20);

/// What a call is answered with.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body in pieces that are sent one after the other; large ones share the memory of the series.
    pub(crate) body: Vec<Bytes>,
    pub(crate) delivery: Delivery,
}

/// How the body travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// At once and whole.
    Whole,
    /// The header promises all of it, `after_bytes` are sent, then the connection ends.
    Cut {
        /// Bytes that are sent.
        after_bytes: usize,
    },
    /// Piece by piece.
    Slow {
        /// Speed.
        bytes_per_second: usize,
    },
}

impl Answer {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: HeaderMap::new(),
            body: Vec::new(),
            delivery: Delivery::Whole,
        }
    }

    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { body: vec![body.to_string().into()], ..Self::empty(status) }
            .with_header("content-type", "application/json")
    }

    /// A JSON answer 200 whose text lies in pieces.
    pub(crate) fn json_pieces(body: Vec<Bytes>) -> Self {
        Self { body, ..Self::empty(200) }.with_header("content-type", "application/json;charset=UTF-8")
    }

    /// A text of another kind.
    pub(crate) fn text(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        Self { body: vec![body.into()], ..Self::empty(status) }.with_header("content-type", kind)
    }

    /// Sets a header; a name or value that HTTP forbids is left out.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The body in one piece.
    pub(crate) fn whole_body(&self) -> Bytes {
        match self.body.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            several => several.concat().into(),
        }
    }

    /// As hyper sends it.
    pub(crate) fn into_response(self) -> Response<AnswerBody> {
        let length: usize = self.body.iter().map(Bytes::len).sum();
        let body = match self.delivery {
            Delivery::Whole => AnswerBody::Whole { left: length as u64, pieces: self.body.into() },
            Delivery::Cut { after_bytes } => AnswerBody::Scripted(cut(&self.whole_body(), after_bytes)),
            Delivery::Slow { bytes_per_second } => AnswerBody::Scripted(slow(self.whole_body(), bytes_per_second)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if self.status != StatusCode::NO_CONTENT {
            response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

/// The body of an answer on its way.
pub(crate) enum AnswerBody {
    /// Pieces in memory.
    Whole {
        /// Bytes not yet handed over.
        left: u64,
        /// Pieces not yet handed over.
        pieces: VecDeque<Bytes>,
    },
    /// Pieces with pauses, or an end before the end.
    Scripted(BoxStream<'static, io::Result<Bytes>>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole { left, pieces } => {
                let piece = pieces.pop_front();
                *left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Self::Scripted(stream) => stream.poll_next_unpin(cx).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole { pieces, .. } if pieces.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { left, .. } => SizeHint::with_exact(*left),
            Self::Scripted(_) => SizeHint::default(),
        }
    }
}

/// Sends the first bytes, lets them leave, then fails, which makes hyper drop the connection.
fn cut(body: &Bytes, after_bytes: usize) -> BoxStream<'static, io::Result<Bytes>> {
    let sent = body.slice(..after_bytes.min(body.len()));
    let head = futures::stream::iter([Ok(sent)]);
    let end = futures::stream::once(async {
        tokio::time::sleep(BEFORE_CUT).await;
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "scripted end of the body"))
    });
    head.chain(end).boxed()
}

fn slow(body: Bytes, bytes_per_second: usize) -> BoxStream<'static, io::Result<Bytes>> {
    let per_second = bytes_per_second.max(1);
    let ticks_per_second = 1_000 / SLOW_TICK.as_millis() as usize;
    let (size, pause) = if per_second >= ticks_per_second {
        (per_second / ticks_per_second, SLOW_TICK)
    } else {
        (1, Duration::from_secs(1) / u32::try_from(per_second).unwrap_or(1))
    };
    futures::stream::unfold(body, move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = left.split_to(size.min(left.len()));
        Some((Ok::<_, Infallible>(piece), left))
    })
    .map(|piece| Ok(piece.unwrap_or_else(|never| match never {})))
    .boxed()
}
