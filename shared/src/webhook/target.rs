//! Rule 6: which URLs and addresses may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Longest URL, bytes.
const LONGEST: usize = 2_048;

/// What a deployment allows besides public addresses by HTTPS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Addresses of private networks and of this machine.
    pub private: bool,
    /// Unencrypted HTTP.
    pub http: bool,
}

/// A URL that may be called, as far as its text tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Url);

/// Why a URL or an address is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than 2,048 bytes.
    #[error("is longer than {LONGEST} bytes")]
    TooLong,
    /// Not an absolute URL of visible characters.
    #[error("is no absolute URL, as in https://example.com/hooks/candles")]
    NoUrl,
    /// Neither HTTPS nor allowed HTTP.
    #[error("has the scheme {0}; only https is allowed here")]
    Scheme(String),
    /// It would send credentials.
    #[error("holds a user name or password; put what identifies the call into path or query")]
    Credentials,
    /// A part that is never sent.
    #[error("has a fragment (#…), which is never sent")]
    Fragment,
    /// Port 0.
    #[error("has the port 0")]
    Port,
    /// A name of this machine or of its own network.
    #[error("names {0}, a host of this machine or its network, and not a public one")]
    PrivateName(String),
    /// No public address.
    #[error("leads to {0}, which is no public address")]
    PrivateAddress(IpAddr),
}

impl TargetPolicy {
    /// Reads the URL of a webhook.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(self, text: &str) -> Result<Target, Refusal> {
        if text.len() > LONGEST {
            return Err(Refusal::TooLong);
        }
        // Parsers pass over some of these, and people do not see them.
        if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
            return Err(Refusal::NoUrl);
        }
        let url = Url::parse(text).map_err(|_| Refusal::NoUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            other => return Err(Refusal::Scheme(other.to_owned())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        if url.fragment().is_some() {
            return Err(Refusal::Fragment);
        }
        if url.port() == Some(0) {
            return Err(Refusal::Port);
        }
        match url.host() {
            Some(Host::Domain(name)) => self.admit_name(name)?,
            Some(Host::Ipv4(address)) => self.admit(address.into())?,
            Some(Host::Ipv6(address)) => self.admit(address.into())?,
            None => return Err(Refusal::NoUrl),
        }
        // The parser writes out what the text only implied.
        if url.as_str().len() > LONGEST { Err(Refusal::TooLong) } else { Ok(Target(url)) }
    }

    fn admit_name(self, name: &str) -> Result<(), Refusal> {
        // Names that never stand for a public host: RFC 6761, RFC 6762, and those that clouds and routers use.
        const PRIVATE: [&str; 6] = ["localhost", "local", "localdomain", "internal", "home.arpa", "onion"];
        let name = name.trim_end_matches('.');
        let is_private =
            |suffix: &&str| name.strip_suffix(suffix).is_some_and(|before| before.is_empty() || before.ends_with('.'));
        if name.is_empty() {
            Err(Refusal::NoUrl)
        } else if !self.private && PRIVATE.iter().any(is_private) {
            Err(Refusal::PrivateName(name.to_owned()))
        } else {
            Ok(())
        }
    }

    /// Whether a connection to `address` may be made.
    ///
    /// # Errors
    /// When it is not public.
    pub fn admit(self, address: IpAddr) -> Result<(), Refusal> {
        let is_public = match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        };
        if self.private || is_public { Ok(()) } else { Err(Refusal::PrivateAddress(address)) }
    }
}

impl Target {
    /// The whole URL. It may hold a secret of its owner.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, for logs.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

/// Not among IANA's special-purpose addresses (RFC 6890 and its registry), multicast or reserved ones.
const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        // "This network", multicast, reserved, broadcast.
        || a == 0
        || a >= 224
        // Shared by carriers (RFC 6598), protocol assignments, 6to4 relays, benchmarks.
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18))
}

/// Global unicast (2000::/3) without its special parts. Everything that holds an IPv4 address lies outside or among these:
/// mapped, translated (64:ff9b::), Teredo, 6to4.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = a & 0xe000 == 0x2000;
    // Protocol assignments with Teredo (2001::/23), documentation (2001:db8::/32, 3fff::/20), 6to4 (2002::/16).
    let is_special = matches!((a, b), (0x2001, 0..=0x01ff | 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff));
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: TargetPolicy = TargetPolicy { private: false, http: false };

    fn check(url: &str, expected: &str) {
        let told = STRICT.read(url).map_or_else(|refusal| refusal.to_string(), |_| "fine".to_owned());
        assert!(told.contains(expected), "{url}: {told}");
    }

    #[test]
    fn urls() {
        check("https://example.com/hooks?key=1", "fine");
        check("https://example.com:8443/", "fine");
        check("https://93.184.216.34/", "fine");
        check("https://[2606:2800:220:1:248:1893:25c8:1946]/", "fine");
        check("https://localhost.example.com/", "fine");
        check("http://example.com/", "scheme http");
        check("ftp://example.com/", "scheme ftp");
        check("file:///etc/passwd", "scheme file");
        check("example.com/hooks", "no absolute URL");
        check("https://", "no absolute URL");
        check("https://exa\nmple.com/", "no absolute URL");
        check("https://user@example.com/", "user name");
        check("https://user:word@example.com/", "user name");
        check("https://example.com/#part", "fragment");
        check("https://example.com:0/", "port 0");
        check("https://localhost/", "a host of this machine");
        check("https://LOCALHOST./", "a host of this machine");
        check("https://a.b.internal/", "a host of this machine");
        check(&format!("https://example.com/{}", "a".repeat(2_048)), "longer than 2048");
    }

    #[test]
    fn addresses_in_every_spelling() {
        for private in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:8.8.8.8]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[100::1]",
        ] {
            check(&format!("https://{private}/"), "no public address");
        }
        for public in [
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "[2001:4860:4860::8888]",
        ] {
            check(&format!("https://{public}/"), "fine");
        }
    }

    #[test]
    fn a_deployment_may_allow_more() {
        let open = TargetPolicy { private: true, http: true };
        for url in ["http://127.0.0.1:8080/x", "http://localhost/", "https://[::1]/"] {
            assert!(open.read(url).is_ok(), "{url}");
        }
        assert_eq!(
            TargetPolicy { http: true, ..STRICT }.read("http://127.1/"),
            Err(Refusal::PrivateAddress([127, 0, 0, 1].into()))
        );
        assert_eq!(open.read("gopher://localhost/"), Err(Refusal::Scheme("gopher".to_owned())));
    }
}
