//! Rule 1 and 2: which page calls, and its cookie.

use crate::error::Problem;
use crate::state::Shared;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use url::{Host, Url};

/// Name of the cookie.
const COOKIE: &str = "candlemill_refresh";
/// Where the browser sends it.
const PATH: &str = "/api/session";
/// How long a browser keeps it: sessions themselves end when Supabase says so.
const MAX_AGE_SECONDS: u32 = 30 * 86_400;

/// A page of this service that calls.
#[derive(Debug)]
pub struct OwnPage {
    /// Where the call comes from; behind a proxy the proxy.
    pub(super) address: IpAddr,
    /// The cookie.
    pub(super) refresh_token: Option<String>,
    /// Whether the cookie may travel by HTTPS alone.
    is_secure: bool,
}

impl FromRequestParts<Shared> for OwnPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let origin = text(header::ORIGIN).and_then(|origin| Url::parse(origin).ok());
        let host = text(header::HOST).unwrap_or_default();
        let origin = origin.filter(|origin| is_own(origin, host, state.public_url.as_ref())).ok_or_else(foreign)?;
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self {
            address: address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0.ip()),
            refresh_token: cookie(&parts.headers),
            is_secure: !is_loopback(&origin),
        })
    }
}

fn foreign() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "foreign_page", "Only this service's own pages sign in here")
        .detail("The header Origin must name the host that is called, or that of PUBLIC_URL. Programs sign in at Supabase itself.")
}

/// Whether `origin` is that of the host that was called, or the public one.
fn is_own(origin: &Url, host: &str, public_url: Option<&Url>) -> bool {
    if public_url.is_some_and(|public| public.origin() == origin.origin()) {
        return true;
    }
    // The scheme is the page's own: behind a proxy we do not know it.
    let called = Url::parse(&format!("{}://{host}", origin.scheme()));
    matches!(origin.scheme(), "http" | "https") && called.is_ok_and(|called| called.origin() == origin.origin())
}

fn is_loopback(origin: &Url) -> bool {
    match origin.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == COOKIE && !value.is_empty()).map(|(_, value)| value.to_owned())
}

/// Whether a text can stand in a cookie as it is (RFC 6265, `cookie-octet`).
fn fits(token: &str) -> bool {
    !token.is_empty()
        && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e))
}

impl OwnPage {
    /// The header that keeps a refresh token; `None` when it does not fit into a cookie.
    pub(super) fn keep(&self, refresh_token: &str) -> Option<HeaderValue> {
        fits(refresh_token).then(|| self.header(refresh_token, MAX_AGE_SECONDS))?
    }

    /// The header that takes the cookie away.
    pub(super) fn forget(&self) -> Option<HeaderValue> {
        self.header("", 0)
    }

    fn header(&self, value: &str, max_age: u32) -> Option<HeaderValue> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let text = format!("{COOKIE}={value}; Path={PATH}; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: &str, host: &str, expected: bool) {
        let public = Url::parse("https://candles.example.com/").unwrap();
        let origin_url = Url::parse(origin);
        let own = origin_url.is_ok_and(|origin| is_own(&origin, host, Some(&public)));
        assert_eq!(own, expected, "{origin} at {host}");
    }

    #[test]
    fn own_pages() {
        check("http://127.0.0.1:5555", "127.0.0.1:5555", true);
        check("http://[::1]:5555", "[::1]:5555", true);
        check("https://api.example.com", "api.example.com", true);
        check("http://api.example.com", "api.example.com:80", true);
        check("https://candles.example.com", "inside:8080", true);
        for odd in [
            "null",
            "http://127.0.0.1:5556",
            "http://localhost:5555",
            "https://evil.example",
            "file:///",
            "http://127.0.0.1",
        ] {
            check(odd, "127.0.0.1:5555", false);
        }
        check("http://candles.example.com", "inside:8080", false);
        check("https://candles.example.com.evil.example", "inside:8080", false);
        check("http://127.0.0.1:5555", "", false);
    }

    #[test]
    fn cookies_travel_by_https_alone_except_on_loopback() {
        for (origin, secure) in [
            ("http://localhost:5555", false),
            ("http://127.0.0.9", false),
            ("http://[::1]:1", false),
            ("https://a.example", true),
            ("http://a.example", true),
        ] {
            let page = OwnPage {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                refresh_token: None,
                is_secure: !is_loopback(&Url::parse(origin).unwrap()),
            };
            let header = page.keep("abc").unwrap();
            let text = header.to_str().unwrap();
            assert_eq!(text.contains("; Secure"), secure, "{origin}");
            assert!(
                text.starts_with("candlemill_refresh=abc; Path=/api/session; ")
                    && text.contains("HttpOnly; SameSite=Strict")
            );
            for odd in ["a;b", "a b", "a\"b", "a,b", "a\\b", "é", ""] {
                assert!(page.keep(odd).is_none(), "{odd}");
            }
        }
    }

    #[test]
    fn the_cookie_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_static("a=b; xcandlemill_refresh=no; candlemill_refresh=yes; c=d"),
        );
        assert_eq!(cookie(&headers).as_deref(), Some("yes"));
        headers.insert(header::COOKIE, HeaderValue::from_static("candlemill_refresh="));
        assert_eq!(cookie(&headers), None);
    }
}
