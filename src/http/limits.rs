//! Every bound of the HTTP interface, in one struct. Each is configurable, and named in the answer when it is hit.

use std::time::Duration;

/// Every bound of the HTTP interface. The defaults are those of the product.
///
/// The listener enforces what concerns connections, heads and bodies; what concerns JSON, filters
/// and pages it only carries, so that there is one place to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest header block of a request, in bytes (431).
    pub header_bytes_max: usize,
    /// Longest path and query of a request, in bytes (414).
    pub url_bytes_max: usize,
    /// Longest body of a request, in bytes (413).
    pub body_bytes_max: usize,
    /// Longest body of a write to a group and of /Bulk, in bytes (413).
    pub group_body_bytes_max: usize,
    /// Most operations in one /Bulk request.
    pub bulk_operations_max: usize,
    /// Resources on a page when the client does not say.
    pub page_default: usize,
    /// Most resources on a page.
    pub page_max: usize,
    /// Most group members on one page.
    pub page_members_max: usize,
    /// Deepest nesting of a JSON body.
    pub json_depth_max: usize,
    /// Longest filter, in bytes.
    pub filter_bytes_max: usize,
    /// Most comparisons in a filter.
    pub filter_terms_max: usize,
    /// Deepest nesting of a filter.
    pub filter_depth_max: usize,
    /// Time for the TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Time from the first byte of a request to the end of its head (408), and from the start of a connection to its first request.
    pub header_timeout: Duration,
    /// Time for the whole body of a request (408).
    pub body_timeout: Duration,
    /// Time that a client may let pass until it takes the next piece of an answer that is made while it is sent. Pieces have up to
    /// 64 KiB, so this also bounds how slow it may be.
    pub send_timeout: Duration,
    /// Time that a connection may rest between requests, and that a client may take no byte of its answer.
    pub idle_timeout: Duration,
    /// Time that running requests get when the server stops.
    pub drain_timeout: Duration,
    /// Time that a client gets to read its last answer and to close, after the server has closed its side.
    pub linger_timeout: Duration,
    /// Most open connections of one listener; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Most requests at a time on one HTTP/2 connection.
    pub http2_streams_max: u32,
    /// Most bytes of an answer in pieces that wait on an HTTP/2 stream, beside the next piece.
    pub http2_send_bytes_max: usize,
    /// Most bytes of an unread body that are read and thrown away to keep a connection usable.
    pub unread_bytes_max: usize,
    /// Most bytes that are read and thrown away while a connection closes.
    pub linger_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Self {
            header_bytes_max: 16 * KIB,
            url_bytes_max: 8 * KIB,
            body_bytes_max: MIB,
            group_body_bytes_max: 8 * MIB,
            bulk_operations_max: 1_000,
            page_default: 100,
            page_max: 500,
            page_members_max: 200_000,
            json_depth_max: 32,
            filter_bytes_max: 4 * KIB,
            filter_terms_max: 100,
            filter_depth_max: 32,
            tls_handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(20),
            linger_timeout: Duration::from_secs(2),
            connections_max: 1_000,
            http2_streams_max: 100,
            http2_send_bytes_max: 128 * KIB,
            unread_bytes_max: 64 * KIB,
            linger_bytes_max: 16 * MIB,
        }
    }
}
