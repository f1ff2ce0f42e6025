//! Whose request a trusted proxy passes on: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Both are lists to which every proxy appends the address it saw. Only entries that a trusted proxy appended mean
//! anything, so the list is read from its end, and the first address that is not a trusted proxy is the client.

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use hyper::HeaderMap;
use hyper::header::FORWARDED;
use hyper::header::HeaderName;

use crate::http::cidr::Cidr;

/// The header before RFC 7239.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whose request this is: `peer` itself, or who the trusted proxies say.
///
/// When both headers are there and disagree, one of them was sent by the client and passed through
/// by a proxy that only knows the other: neither is believed.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let standard = headers
        .contains_key(FORWARDED)
        .then(|| walk(peer, &entries(headers, &FORWARDED), trusted, node));
    let older = headers.contains_key(X_FORWARDED_FOR).then(|| {
        let list = entries(headers, &X_FORWARDED_FOR);
        walk(peer, &list, trusted, address)
    });
    match (standard, older) {
        (Some(client), None) | (None, Some(client)) => client,
        (Some(one), Some(other)) if one == other => one,
        (Some(_), Some(_)) | (None, None) => peer,
    }
}

/// Whether `address` is in one of the ranges.
pub fn is_trusted(address: IpAddr, trusted: &[Cidr]) -> bool {
    trusted.iter().any(|range| range.contains(address))
}

/// Reads `entries` from the end until an address is not a trusted proxy's, or an entry is not an address.
fn walk(
    peer: IpAddr,
    entries: &[&str],
    trusted: &[Cidr],
    read: impl Fn(&str) -> Option<IpAddr>,
) -> IpAddr {
    let mut client = peer;
    for entry in entries.iter().rev() {
        let Some(address) = read(entry) else { break };
        client = address;
        if !is_trusted(address, trusted) {
            break;
        }
    }
    client
}

/// The list of a header that may come several times, in order; a line that is not text counts as one unreadable entry.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .collect()
}

/// The address in the `for` parameter of one element of `Forwarded` (RFC 7239 §4, §6). Obfuscated and
/// unknown nodes have none. A comma in a quoted string would be cut here; no node holds one.
fn node(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        if !name.eq_ignore_ascii_case("for") {
            return None;
        }
        let quoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        address(quoted.unwrap_or(value))
    })
}

/// `192.0.2.7`, `192.0.2.7:80`, `2001:db8::7`, `[2001:db8::7]` or `[2001:db8::7]:80`.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(socket.ip().to_canonical());
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let address: Ipv6Addr = inner.parse().ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use crate::http::cidr::Cidr;
    use crate::http::forwarded::client;

    /// The client that the header lines name, as seen from `peer`, when 10/8 and fd00::/8 are trusted.
    fn seen(peer: &str, lines: &[(&'static str, &str)]) -> String {
        let trusted: [Cidr; 2] = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let lines = [("x-forwarded-for", "203.0.113.9")];
        for (peer, expected) in [
            ("10.0.0.1", "203.0.113.9"),
            ("::ffff:10.0.0.1", "203.0.113.9"),
            ("fd00::1", "203.0.113.9"),
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(seen(peer, &lines), expected, "{peer}");
        }
    }

    #[test]
    fn x_forwarded_for_is_read_from_its_end() {
        for (value, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("203.0.113.9, unknown", "10.0.0.1"),
            ("203.0.113.9, garbage, 10.0.0.2", "10.0.0.2"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(
                seen("10.0.0.1", &[("x-forwarded-for", value)]),
                expected,
                "{value:?}"
            );
        }
        let two_lines = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(seen("10.0.0.1", &two_lines), "203.0.113.9");
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_says() {
        for (value, expected) in [
            ("for=203.0.113.9", "203.0.113.9"),
            (
                "For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.1",
                "2001:db8::7",
            ),
            (
                "for=198.51.100.1;proto=http, for=203.0.113.9;host=a",
                "203.0.113.9",
            ),
            ("proto=https; for=203.0.113.9", "203.0.113.9"),
            ("for=203.0.113.9, for=10.0.0.2", "203.0.113.9"),
            ("for=203.0.113.9, for=unknown", "10.0.0.1"),
            ("for=203.0.113.9, for=_hidden", "10.0.0.1"),
            ("for=203.0.113.9, proto=https", "10.0.0.1"),
            ("for=\"203.0.113.9", "10.0.0.1"),
        ] {
            assert_eq!(
                seen("10.0.0.1", &[("forwarded", value)]),
                expected,
                "{value:?}"
            );
        }
    }

    #[test]
    fn headers_that_disagree_are_not_believed() {
        for (standard, older, expected) in [
            ("for=203.0.113.9", "203.0.113.9", "203.0.113.9"),
            ("for=203.0.113.9", "203.0.113.8", "10.0.0.1"),
        ] {
            let lines = [("forwarded", standard), ("x-forwarded-for", older)];
            assert_eq!(seen("10.0.0.1", &lines), expected, "{standard} {older}");
        }
    }
}
