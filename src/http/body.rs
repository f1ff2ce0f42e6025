//! Bodies of answers: whole, or made piece by piece while the client takes them.
//!
//! A body in pieces has a length that is announced first. Pieces that do not add up to it break the answer off: in HTTP/1.1
//! the connection, in HTTP/2 the stream. So a client never takes a wrong body for a right one (RFC 9112 §8, RFC 9113 §8.1.1).

use std::convert::Infallible;
use std::fmt;
use std::iter;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use http_body_util::Full;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Frame;
use hyper::body::SizeHint;

use crate::base::ident::RequestId;
use crate::http::activity::Activity;
use crate::http::activity::Sending;
use crate::telemetry::metrics::Metrics;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum AnswerBody {
    /// All of it, or nothing.
    Whole(Full<Bytes>),
    /// Made while it is sent. Boxed: hardly any answer is of this kind, and every answer is moved.
    Pieces(Box<Pieces>),
}

impl Default for AnswerBody {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl AnswerBody {
    /// A body that is there already.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }

    /// A body of `length` bytes that `pieces` yield.
    pub(super) fn pieces(
        length: u64,
        pieces: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> Self {
        Self::Pieces(Box::new(Pieces {
            pieces: Box::new(pieces),
            left: length,
            gave: false,
            under_way: None,
        }))
    }

    /// Says that the sending begins. What is sent in pieces is a request that runs until the last of them is on its way.
    pub(super) fn begin(
        &mut self,
        request_id: RequestId,
        metrics: &Arc<Metrics>,
        activity: &Arc<Activity>,
    ) {
        if let Self::Pieces(pieces) = self {
            pieces.under_way = Some(UnderWay::begin(request_id, metrics, activity));
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(full) => Pin::new(full)
                .poll_frame(cx)
                .map_err(|never: Infallible| match never {}),
            Self::Pieces(pieces) => pieces.poll_piece(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Pieces(pieces) => pieces.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Pieces(pieces) => SizeHint::with_exact(pieces.left),
        }
    }
}

/// Why an answer was broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// The pieces ended before the length was reached.
    #[error("its pieces ended {bytes} bytes before the length that was announced")]
    Short {
        /// What was missing.
        bytes: u64,
    },
    /// There was more than the length.
    #[error("its pieces go on beyond the length that was announced")]
    Long,
    /// Making a piece panicked.
    #[error("making a piece of it panicked")]
    Panicked,
}

/// A body in pieces.
pub(super) struct Pieces {
    /// Yields what has not been sent yet.
    pieces: Box<dyn Iterator<Item = Bytes> + Send>,
    /// Bytes of the length that have not been sent yet.
    left: u64,
    /// Whether a piece was given since others could last run.
    gave: bool,
    /// The request, once the sending has begun.
    under_way: Option<UnderWay>,
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Pieces {
    /// The next piece, in turn with whatever else is to be done.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        // A client that is as fast as we are would have all pieces made in one go, and nothing else could run. hyper asks
        // again up to sixteen times before it gives way, so that a turn has eight pieces at most.
        if self.gave {
            self.gave = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // The iterator is not used again after a panic.
        let next = catch_unwind(AssertUnwindSafe(|| self.next()));
        let next = next.unwrap_or(Err(Broken::Panicked));
        match &next {
            Ok(_) => {
                self.gave = true;
                if let Some(under_way) = &self.under_way {
                    under_way.sending.goes_on();
                }
            }
            Err(broken) => {
                self.pieces = Box::new(iter::empty());
                if let Some(under_way) = &self.under_way {
                    under_way.broke(*broken);
                }
            }
        }
        Poll::Ready(Some(next))
    }

    /// The next piece, if what is left of the length has room for it. The last is held back until nothing comes after it.
    fn next(&mut self) -> Result<Bytes, Broken> {
        let mut pieces = self.pieces.by_ref().filter(|piece| !piece.is_empty());
        let piece = pieces.next().ok_or(Broken::Short { bytes: self.left })?;
        let bytes = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let left = self.left.checked_sub(bytes).ok_or(Broken::Long)?;
        if left == 0 && pieces.next().is_some() {
            return Err(Broken::Long);
        }
        self.left = left;
        Ok(piece)
    }
}

/// Counts a request as running while its answer is sent.
struct UnderWay {
    /// Its name, for the log.
    request_id: RequestId,
    /// The gauge.
    metrics: Arc<Metrics>,
    /// The connection's clock.
    sending: Sending,
}

impl UnderWay {
    /// The sending begins.
    fn begin(request_id: RequestId, metrics: &Arc<Metrics>, activity: &Arc<Activity>) -> Self {
        metrics.http_in_flight.add(1);
        Self {
            request_id,
            metrics: Arc::clone(metrics),
            sending: Sending::begin(Arc::clone(activity), request_id),
        }
    }

    /// Counts and logs that the answer was broken off.
    fn broke(&self, broken: Broken) {
        let reason = match broken {
            Broken::Panicked => {
                self.metrics.panics.add_one();
                "panic"
            }
            Broken::Short { .. } | Broken::Long => "wrong_length",
        };
        tracing::error!(request_id = %self.request_id, reason, "an answer was broken off: {broken}");
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.metrics.http_in_flight.add(-1);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use hyper::body::Body;
    use hyper::body::Bytes;

    use crate::http::body::AnswerBody;
    use crate::http::body::Broken;

    /// All that is given, and how it ends.
    async fn read(mut body: AnswerBody) -> (Vec<&'static str>, Result<(), Broken>) {
        let mut given = Vec::new();
        while let Some(frame) = body.frame().await {
            let piece = match frame {
                Ok(frame) => frame.into_data().unwrap(),
                Err(broken) => {
                    // It does not end well later.
                    assert!(body.frame().await.is_some_and(|again| again.is_err()));
                    return (given, Err(broken));
                }
            };
            given.push(match &*piece {
                b"ab" => "ab",
                b"cd" => "cd",
                other => panic!("{other:?}"),
            });
        }
        assert!(body.is_end_stream());
        (given, Ok(()))
    }

    #[tokio::test]
    async fn pieces_must_add_up_to_the_length() {
        for (pieces, length, given, end) in [
            (vec!["ab", "cd"], 4, vec!["ab", "cd"], Ok(())),
            (vec!["", "ab", "", "cd", ""], 4, vec!["ab", "cd"], Ok(())),
            (vec![], 0, vec![], Ok(())),
            (vec![], 1, vec![], Err(Broken::Short { bytes: 1 })),
            (vec!["ab"], 4, vec!["ab"], Err(Broken::Short { bytes: 2 })),
            (vec!["ab", "cd"], 3, vec!["ab"], Err(Broken::Long)),
            (vec!["ab", "cd", "e"], 4, vec!["ab"], Err(Broken::Long)),
            (
                vec!["ab", "panic", "cd"],
                4,
                vec!["ab"],
                Err(Broken::Panicked),
            ),
        ] {
            let shown = format!("{pieces:?} {length}");
            let made = pieces.into_iter().map(|piece| match piece {
                "panic" => panic!("on purpose"),
                piece => Bytes::from_static(piece.as_bytes()),
            });
            let body = AnswerBody::pieces(length, made);
            assert_eq!(body.size_hint().exact(), Some(length), "{shown}");
            assert_eq!(read(body).await, (given, end), "{shown}");
        }
    }
}
