//! The mechanism of HTTP: sockets, TLS, limits, the states of a request, answers, the orderly end.
//!
//! It knows no SCIM, no store and no token. What a request means is a [`Service`]'s matter; this room sees to it that
//! a body cannot be read before somebody has authorised the request, that everything has a bound, and that every answer has
//! the headers it must have. RFC 9110, RFC 9112 (HTTP/1.1), RFC 9113 (HTTP/2), RFC 8446 and RFC 5246 (TLS).

mod activity;
mod body;
mod certificate;
mod cidr;
mod connection;
mod drain;
mod exchange;
mod forwarded;
mod limits;
mod listener;
mod local_ca;
mod path;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod tls;

pub use hyper::Method;
pub use hyper::StatusCode;
pub use hyper::body::Bytes;
pub use hyper::header;
pub use hyper::header::HeaderName;
pub use hyper::header::HeaderValue;

pub use crate::http::cidr::BadCidr;
pub use crate::http::cidr::Cidr;
pub use crate::http::drain::Drain;
pub use crate::http::exchange::Fault;
pub use crate::http::exchange::Service;
pub use crate::http::limits::Limits;
pub use crate::http::listener::Endpoint;
pub use crate::http::listener::ListenError;
pub use crate::http::listener::PlainPeers;
pub use crate::http::listener::Running;
pub use crate::http::listener::Transport;
pub use crate::http::listener::bind;
pub use crate::http::listener::serve;
pub use crate::http::path::BadEscape;
pub use crate::http::request::Authorised;
pub use crate::http::request::BodyError;
pub use crate::http::request::Head;
pub use crate::http::request::Received;
pub use crate::http::response::Answer;
pub use crate::http::tls::Summary;
pub use crate::http::tls::Tls;
pub use crate::http::tls::TlsError;
pub use crate::http::tls::TlsSettings;
