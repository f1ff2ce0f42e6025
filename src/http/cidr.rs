//! A range of addresses: `10.0.0.0/8`, `fd00::/8`, or one address alone (RFC 4632 §3.1, RFC 4291 §2.3).

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A range of IP addresses with a common beginning. No bit is set behind the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// The first address of the range.
    network: IpAddr,
    /// How many leading bits all addresses share.
    prefix_bits: u8,
}

impl Cidr {
    /// Whether `address` lies in the range. An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4()
            && masked(address, self.prefix_bits) == self.network
    }
}

/// `address` with every bit behind the first `prefix_bits` cleared.
fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let gone = 32_u32.saturating_sub(prefix_bits.into());
            let mask = u32::MAX.checked_shl(gone).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let gone = 128_u32.saturating_sub(prefix_bits.into());
            let mask = u128::MAX.checked_shl(gone).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_error| BadCidr::Form)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => bits_max,
            // `parse` alone would take `+8`.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_error| BadCidr::Form)?
            }
            Some(_) => return Err(BadCidr::Form),
        };
        if prefix_bits > bits_max {
            return Err(BadCidr::Prefix { bits_max });
        }
        let network = masked(address, prefix_bits);
        if network != address {
            return Err(BadCidr::HostBits(Self {
                network,
                prefix_bits,
            }));
        }
        Ok(Self {
            network,
            prefix_bits,
        })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix_bits)
    }
}

/// The text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCidr {
    /// Not an address with an optional prefix length.
    #[error("not an address or range of addresses, such as 10.0.0.0/8, fd00::/8 or 192.0.2.7")]
    Form,
    /// The prefix is longer than an address.
    #[error("the number after / is at most {bits_max} for such an address")]
    Prefix {
        /// The longest prefix.
        bits_max: u8,
    },
    /// The address is not the first of its range: one of both is probably a slip.
    #[error("the address is not the first of its range; the range is written {0}")]
    HostBits(Cidr),
}

#[cfg(test)]
mod tests {
    use crate::http::cidr::BadCidr;
    use crate::http::cidr::Cidr;

    #[test]
    fn an_address_is_in_its_range_only() {
        for (range, address, expected) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            let cidr: Cidr = range.parse().unwrap();
            assert_eq!(
                cidr.contains(address.parse().unwrap()),
                expected,
                "{address} in {range}"
            );
        }
    }

    #[test]
    fn a_range_prints_in_full() {
        for (text, printed) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::1", "::1/128"),
            ("192.0.2.7", "192.0.2.7/32"),
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn a_bad_range_is_refused_with_what_would_be_right() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/x",
            "10.0.0/8",
            "10.0.0.0/999",
            "localhost",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(BadCidr::Form), "{text:?}");
        }
        for (text, message) in [
            (
                "10.0.0.0/33",
                "the number after / is at most 32 for such an address",
            ),
            (
                "::/129",
                "the number after / is at most 128 for such an address",
            ),
            (
                "10.1.2.3/8",
                "the address is not the first of its range; the range is written 10.0.0.0/8",
            ),
        ] {
            let error = text.parse::<Cidr>().unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
        }
    }
}
