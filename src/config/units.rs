//! Sizes, durations, rates, networks and URLs as the configuration writes them.
//!
//! ```text
//! size     = digits ("B" / "KiB" / "MiB" / "GiB" / "TiB")
//! duration = digits ("ms" / "s" / "m" / "h" / "d" / "w")
//! rate     = digits "/" ("s" / "m")
//! network  = address [ "/" digits ]
//! ```

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::http::BadCidr;
use crate::http::Cidr;

/// The units of sizes, largest first, with their bytes.
const SIZES: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// The units of durations, largest first, with their milliseconds.
const DURATIONS: [(&str, u64); 6] = [
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The text has not the form that is documented at its parser; the sentence says which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct BadUnit(pub &'static str);

/// Parses a size and returns its bytes.
///
/// # Errors
///
/// [`BadUnit`] when the text is no size or does not fit 64 bits.
pub fn parse_size(text: &str) -> Result<u64, BadUnit> {
    const WANTED: BadUnit = BadUnit("a size such as \"64MiB\" (units B, KiB, MiB, GiB, TiB)");
    scaled(text, &SIZES).ok_or(WANTED)
}

/// Prints `bytes` in the largest unit that divides them.
pub fn show_size(bytes: u64) -> String {
    show_scaled(bytes, &SIZES, "B")
}

/// Parses a duration.
///
/// # Errors
///
/// [`BadUnit`] when the text is no duration or is longer than 64 bits of milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, BadUnit> {
    const WANTED: BadUnit =
        BadUnit("a duration such as \"30s\" or \"90d\" (units ms, s, m, h, d, w)");
    scaled(text, &DURATIONS)
        .map(Duration::from_millis)
        .ok_or(WANTED)
}

/// Prints a duration in the largest unit that divides its milliseconds.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    show_scaled(millis, &DURATIONS, "s")
}

/// Reads digits and one of `units`.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

/// Writes `amount` in the largest of `units` that divides it; zero in `zero`.
fn show_scaled(amount: u64, units: &[(&str, u64)], zero: &str) -> String {
    if amount == 0 {
        return format!("0{zero}");
    }
    for (name, scale) in units {
        if let Some(0) = amount.checked_rem(*scale) {
            return format!("{}{name}", amount / scale);
        }
    }
    format!("{amount}{zero}")
}

/// How many requests in how much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests allowed, at least 1.
    pub requests: u32,
    /// In each second (or minute).
    pub each: Duration,
}

impl Rate {
    /// Parses a rate such as `100/s`.
    ///
    /// # Errors
    ///
    /// [`BadUnit`] when the text is no rate.
    pub fn parse(text: &str) -> Result<Self, BadUnit> {
        const WANTED: BadUnit = BadUnit("\"off\" or a rate such as \"100/s\" (units s, m)");
        let (digits, unit) = text.split_once('/').ok_or(WANTED)?;
        let requests = digits.parse().map_err(|_error| WANTED)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            _ => return Err(WANTED),
        };
        if requests == 0 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(WANTED);
        }
        Ok(Self {
            requests,
            each: Duration::from_secs(seconds),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.each.as_secs() == 1 { "s" } else { "m" };
        write!(f, "{}/{unit}", self.requests)
    }
}

/// Parses a network; an address alone is the network of that address only.
///
/// # Errors
///
/// [`BadUnit`] when the text is no network, or has bits set after its prefix.
pub fn parse_network(text: &str) -> Result<Cidr, BadUnit> {
    text.parse().map_err(|error| match error {
        BadCidr::Form | BadCidr::Prefix { .. } => {
            BadUnit("a network such as \"10.0.0.0/8\" or an address such as \"10.0.0.7\"")
        }
        BadCidr::HostBits(_) => {
            BadUnit("a network whose bits after the prefix are zero, such as \"10.0.0.0/8\"")
        }
    })
}

/// The start of every Tenant URL: scheme, host and port, perhaps a path, no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// The whole text.
    text: String,
    /// The host in it, without the brackets of an IPv6 address.
    host: String,
}

impl PublicUrl {
    /// Parses an absolute `https` or `http` URL without user, query and fragment (RFC 3986 §3).
    ///
    /// # Errors
    ///
    /// [`BadUnit`] when the text is no such URL.
    pub fn parse(text: &str) -> Result<Self, BadUnit> {
        const WANTED: BadUnit =
            BadUnit("a URL such as \"https://scim.corp.example\", without \"?\" and \"#\"");
        let text = text.trim_end_matches('/');
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or(WANTED)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |b: u8| b.is_ascii_graphic() && !b"?#@\\\"<>".contains(&b);
        if !path.bytes().all(plain) || !authority.bytes().all(plain) {
            return Err(WANTED);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, port) = inner.split_once(']').ok_or(WANTED)?;
                host.parse::<Ipv6Addr>().map_err(|_error| WANTED)?;
                (host, port)
            }
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port_fits = port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|digits| digits.parse::<u16>().is_ok());
        if host.is_empty() || !port_fits {
            return Err(WANTED);
        }
        Ok(Self {
            text: text.to_owned(),
            host: host.to_owned(),
        })
    }

    /// `https://localhost`, for a machine whose name cannot stand in a URL.
    pub fn localhost() -> Self {
        Self {
            text: "https://localhost".to_owned(),
            host: "localhost".to_owned(),
        }
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host: a name or an address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::units::PublicUrl;
    use crate::config::units::Rate;
    use crate::config::units::parse_duration;
    use crate::config::units::parse_network;
    use crate::config::units::parse_size;
    use crate::config::units::show_duration;
    use crate::config::units::show_size;

    #[test]
    fn sizes_have_a_binary_unit() {
        for (text, bytes, printed) in [
            ("0B", 0, "0B"),
            ("1B", 1, "1B"),
            ("1024B", 1024, "1KiB"),
            ("1000KiB", 1_024_000, "1000KiB"),
            ("64MiB", 64 << 20, "64MiB"),
            ("64 MiB", 64 << 20, "64MiB"),
            ("3GiB", 3 << 30, "3GiB"),
            ("2TiB", 2 << 40, "2TiB"),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(show_size(bytes), printed, "{text}");
        }
        for bad in [
            "",
            "64",
            "MiB",
            "64MB",
            "64mib",
            "-1B",
            "1.5GiB",
            "9999999999TiB",
            "64MiB ",
            "１B",
        ] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn durations_have_one_unit() {
        for (text, millis, printed) in [
            ("0s", 0, "0s"),
            ("250ms", 250, "250ms"),
            ("10s", 10_000, "10s"),
            ("75s", 75_000, "75s"),
            ("120s", 120_000, "2m"),
            ("24h", 86_400_000, "1d"),
            ("90d", 90 * 86_400_000, "90d"),
            ("14d", 14 * 86_400_000, "2w"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
            assert_eq!(show_duration(duration), printed, "{text}");
        }
        for bad in ["", "10", "s", "10S", "1h30m", "1.5h", "-1s", "10 sec"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rates_are_requests_in_a_second_or_minute() {
        for text in ["1/s", "100/s", "6000/m"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "100", "0/s", "+1/s", "100/h", "/s", "1/"] {
            assert!(Rate::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_network_contains_what_shares_its_prefix() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::ffff:11.1.1.1"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "fd00::1", "10.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let parsed = parse_network(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network}");
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/+8",
            "::/129",
            "a/8",
            "10.0.0.0/",
        ] {
            assert!(parse_network(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_public_url_names_a_host() {
        for (text, host, printed) in [
            (
                "https://scim.corp.example",
                "scim.corp.example",
                "https://scim.corp.example",
            ),
            (
                "https://scim.corp.example:8443/",
                "scim.corp.example",
                "https://scim.corp.example:8443",
            ),
            ("http://[::1]:80/a/b/", "::1", "http://[::1]:80/a/b"),
        ] {
            let url = PublicUrl::parse(text).unwrap();
            assert_eq!((url.host(), url.as_str()), (host, printed), "{text}");
        }
        for bad in [
            "",
            "scim.corp.example",
            "ftp://a",
            "https://",
            "https://:443",
            "https://a:b",
            "https://a:65536",
            "https://u@a",
            "https://a/?b",
            "https://a/#b",
            "https://a b",
            "https://[::1",
            "https://[g]",
            "https://[::1]x",
            "https://ä",
        ] {
            assert!(PublicUrl::parse(bad).is_err(), "{bad:?}");
        }
    }
}
