//! One connection, from its first byte to its end: HTTP/1.1 or HTTP/2, time-outs, the orderly close.
//!
//! hyper has one time-out for heads and none for rest, and closes a socket with unread input in it, which makes the kernel
//! take back an answer that the client has not read yet. So the socket is wrapped ([`Watched`]): it notes when something
//! happens ([`Activity`]), and closes by sending its end first and then reading the client's.

use std::future::Future;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use hyper::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::server::conn::http2;
use hyper::service::HttpService;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadBuf;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::http::activity::Activity;
use crate::http::activity::CLOSING;
use crate::http::activity::FRESH;
use crate::http::activity::IN_HEAD;
use crate::http::activity::RESTING;
use crate::http::drain::Stage;
use crate::http::exchange::Link;
use crate::http::exchange::Service;
use crate::http::exchange::Shared;
use crate::http::exchange::exchange;
use crate::http::limits::Limits;

/// Sent to a client that began a request and did not finish its head in time. Without a body: what the client speaks is not known yet.
const TOO_LATE: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A stream that reports what happens on it, and closes without losing what was sent last.
pub(super) struct Watched<S> {
    /// TLS or TCP.
    stream: S,
    /// Whom to tell.
    activity: Arc<Activity>,
    /// Whether our end has been sent.
    end_sent: bool,
    /// How many bytes may still be read and thrown away.
    linger_bytes: usize,
}

impl<S> Watched<S> {
    /// Wraps a stream.
    pub(super) fn new(stream: S, activity: Arc<Activity>, limits: &Limits) -> Self {
        Self {
            stream,
            activity,
            end_sent: false,
            linger_bytes: limits.linger_bytes_max,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            this.activity.was_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.activity.was_written(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, slices))?;
        this.activity.was_written(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// Sends our end, then waits for the client's and throws away what it still sends (RFC 9112 §9.6). The
    /// connection's timer bounds the wait. A client that rested is not waited for: it may not notice for hours.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.activity.closes();
        if !this.end_sent {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.end_sent = true;
        }
        if this.activity.has_rested() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0_u8; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            // An error ends the connection as surely as the client's end does.
            if ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer)).is_err() {
                return Poll::Ready(Ok(()));
            }
            let read = buffer.filled().len();
            if read == 0 || read > this.linger_bytes {
                return Poll::Ready(Ok(()));
            }
            this.linger_bytes -= read;
        }
    }
}

/// A hyper connection of either version.
trait Conversation: Future<Output = hyper::Result<()>> {
    /// Ends after the requests that run.
    fn wind_down(self: Pin<&mut Self>);
}

impl<I, B, S> Conversation for http1::Connection<I, S>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn wind_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, B, S, E> Conversation for http2::Connection<I, S, E>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn wind_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// How a conversation ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// By itself, well or badly.
    Over,
    /// A head had begun and was not finished in time.
    HeadTooLate,
    /// It had to be cut off: what is left of it is dropped.
    Cut,
}

/// Speaks HTTP on `stream` until the connection ends.
pub(super) async fn converse<S, T>(
    shared: Arc<Shared<S>>,
    link: Link,
    stream: T,
    http2: bool,
    drain: watch::Receiver<Stage>,
) where
    S: Service,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::clone(&link.activity);
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity), &shared.limits));
    let limits = Arc::clone(&shared.limits);
    let link = Arc::new(link);
    let service =
        service_fn(move |request| exchange(Arc::clone(&shared), Arc::clone(&link), request));
    let head_bytes = limits.header_bytes_max.saturating_add(limits.url_bytes_max);
    if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .max_concurrent_streams(limits.http2_streams_max)
            .max_send_buf_size(limits.http2_send_bytes_max)
            .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX));
        let connection = pin!(builder.serve_connection(io, service));
        attend(connection, &activity, drain).await;
        return;
    }
    let mut builder = http1::Builder::new();
    builder
        // The timer of `attend` tells rest from a slow head.
        .header_read_timeout(None)
        .max_header_size(head_bytes)
        // Also the most that hyper reads ahead. 8192 is the least that it takes.
        .max_buf_size(head_bytes.max(8192));
    let mut connection = builder.serve_connection(io, service);
    if attend(Pin::new(&mut connection), &activity, drain).await == End::HeadTooLate {
        let mut stream = connection.into_parts().io.into_inner();
        let farewell = async {
            stream.write_all(TOO_LATE).await?;
            stream.shutdown().await
        };
        // A client that does not take even this is let go.
        drop(tokio::time::timeout(limits.linger_timeout, farewell).await);
    }
}

/// Drives a conversation, and ends it when its time is up or the server stops.
async fn attend<C: Conversation>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
    mut drain: watch::Receiver<Stage>,
) -> End {
    let mut armed = activity.due();
    let mut timer = pin!(sleep_until(armed));
    let mut seen = Stage::Serving;
    loop {
        // Polled after the connection, so that a deadline that has come nearer is seen at once. One that
        // has moved away is only noticed when the old one is reached: no timer is touched per request.
        let timed_out = poll_fn(|cx| {
            loop {
                if activity.due() < armed {
                    armed = activity.due();
                    timer.as_mut().reset(armed);
                }
                ready!(timer.as_mut().poll(cx));
                let stalled = activity.stalled();
                if stalled.is_some() || activity.due() <= Instant::now() {
                    return Poll::Ready(stalled);
                }
                armed = activity.due();
                timer.as_mut().reset(armed);
            }
        });
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended badly");
                }
                return End::Over;
            }
            stage = drain.wait_for(|stage| *stage > seen) => {
                // A drain that is gone can give no orders: the process ends.
                seen = stage.map_or(Stage::Over, |stage| *stage);
                if seen == Stage::Over || activity.phase() == FRESH {
                    return End::Cut;
                }
                if !activity.is_running() && activity.phase() == RESTING {
                    activity.closes_rested();
                }
                connection.as_mut().wind_down();
            }
            stalled = timed_out => match (stalled, activity.phase()) {
                // In HTTP/2 the other streams go with it: nobody but hyper could reset the one.
                (Some(request_id), _) => {
                    tracing::warn!(%request_id, reason = "send_timeout", "a client stopped taking its answer and was cut off");
                    return End::Cut;
                }
                (None, IN_HEAD) => return End::HeadTooLate,
                (None, FRESH | CLOSING) => return End::Cut,
                (None, _) if activity.is_running() => activity.runs_on(),
                (None, _) => {
                    activity.closes_rested();
                    connection.as_mut().wind_down();
                }
            },
        }
    }
}
