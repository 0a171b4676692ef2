//! The dashboard: pages for people, embedded in the program.
//!
//! `dashboard/` builds them into `dashboard/dist`, each beside its `.br` and `.gz`; without that build the program has a page that
//! says so. A release holds the files itself; a debug build reads them when they are asked for.

use crate::error::Problem;
use crate::state::Shared;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "../dashboard/dist"]
struct Files;

/// Addresses of pages. All of them are the one document, whose script shows the page.
const PAGES: [&str; 12] = [
    "/",
    "/tasks",
    "/tasks/{id}",
    "/dead-letters",
    "/schedules",
    "/schedules/{id}",
    "/studies",
    "/studies/{id}",
    "/data",
    "/data/{symbol}/{interval}",
    "/operations",
    "/index.html",
];

/// Own scripts, styles and calls alone; pictures also from memory, for charts that are fetched with the token.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
/// The name of a file holds what is in it, so it never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";
const PLACEHOLDER: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Candlemill</title>\n\
    <h1>Candlemill</h1>\n<p>This program was built without the dashboard, which needs Node 20.19 or newer: \
    <code>./dev run</code> builds it where there is one.\n<p>The API is here: <a href=\"/docs\">its calls</a>, \
    <a href=\"/readyz\">its health</a>.\n</html>\n";

/// How a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Brotli,
    Gzip,
    Plain,
}

/// The pages and their files.
pub(crate) fn routes() -> Router<Shared> {
    let pages = PAGES.iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    pages.route("/icon.svg", get(icon)).route("/assets/{name}", get(asset))
}

async fn page(headers: HeaderMap) -> Response {
    file("index.html", &headers).unwrap_or_else(|| {
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        guarded(([kind, (header::CACHE_CONTROL, HeaderValue::from_static(ASK_AGAIN))], PLACEHOLDER).into_response())
    })
}

async fn icon(headers: HeaderMap) -> Result<Response, Problem> {
    file("icon.svg", &headers).ok_or_else(no_such_file)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    file(&format!("assets/{name}"), &headers).ok_or_else(no_such_file)
}

fn no_such_file() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "There is no such file").detail(
        "The dashboard has no file of this name; a page of an earlier version may ask for it. Load the page again.",
    )
}

/// The answer with a file, as small as the client takes it.
fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let kind = kind_of(path)?;
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|text| text.to_str().ok()).unwrap_or_default();
    let (encoding, found) = smallest(accepted, |ending| Files::get(&format!("{path}{ending}")))?;
    let tag = tag_of(&found, encoding);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|text| text.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut answer = match found.data {
        _ if is_known => StatusCode::NOT_MODIFIED.into_response(),
        Cow::Borrowed(data) => Bytes::from_static(data).into_response(),
        Cow::Owned(data) => data.into_response(),
    };
    let cached = if path.starts_with("assets/") { FOREVER } else { ASK_AGAIN };
    let all = answer.headers_mut();
    all.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    all.insert(header::CACHE_CONTROL, HeaderValue::from_static(cached));
    all.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        all.insert(header::ETAG, tag);
    }
    match encoding {
        Encoding::Brotli => drop(all.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"))),
        Encoding::Gzip => drop(all.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))),
        Encoding::Plain => {}
    }
    Some(guarded(answer))
}

/// What is sent with every page and file of it.
fn guarded(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    answer
}

/// The type of a file; `None` for what is no file of the pages.
fn kind_of(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

/// The first form that there is and that the client takes: brotli, gzip, plain.
fn smallest<F>(accepted: &str, find: impl Fn(&str) -> Option<F>) -> Option<(Encoding, F)> {
    let forms = [("br", ".br", Encoding::Brotli), ("gzip", ".gz", Encoding::Gzip)];
    forms
        .into_iter()
        .filter(|(name, ..)| takes(accepted, name))
        .find_map(|(_, ending, encoding)| Some((encoding, find(ending)?)))
        .or_else(|| Some((Encoding::Plain, find("")?)))
}

/// Whether `Accept-Encoding` names this encoding, and not with the weight 0.
fn takes(accepted: &str, name: &str) -> bool {
    accepted.split(',').any(|one| {
        let (coding, parameters) = one.split_once(';').unwrap_or((one, ""));
        let weight = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()).unwrap_or(1.0);
        coding.trim().eq_ignore_ascii_case(name) && weight > 0.0
    })
}

fn tag_of(file: &EmbeddedFile, encoding: Encoding) -> String {
    let hash = file.metadata.sha256_hash();
    let ending = match encoding {
        Encoding::Brotli => "-br",
        Encoding::Gzip => "-gz",
        Encoding::Plain => "",
    };
    format!("\"{}{ending}\"", hex::encode(&hash[..12]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accepted: &str, there: &[&str], expected: Option<Encoding>) {
        let found = smallest(accepted, |ending| there.contains(&ending).then_some(()));
        assert_eq!(found.map(|found| found.0), expected, "{accepted} of {there:?}");
    }

    #[test]
    fn the_smallest_form_that_is_taken() {
        let all = ["", ".br", ".gz"];
        check("gzip, deflate, br, zstd", &all, Some(Encoding::Brotli));
        check("gzip", &all, Some(Encoding::Gzip));
        check("GZIP;q=0.5", &all, Some(Encoding::Gzip));
        check("br;q=0, gzip;q=1", &all, Some(Encoding::Gzip));
        check("br", &["", ".gz"], Some(Encoding::Plain));
        check("", &all, Some(Encoding::Plain));
        check("identity", &all, Some(Encoding::Plain));
        check("brotli", &all, Some(Encoding::Plain));
        check("br", &[], None);
    }

    #[test]
    fn what_is_no_file_of_the_pages_is_none() {
        for odd in ["assets/../../Cargo.toml", "assets/x.br", ".gitkeep", "assets/x", "assets/nothing.js"] {
            assert!(file(odd, &HeaderMap::new()).is_none(), "{odd}");
        }
    }

    #[test]
    fn the_placeholder_keeps_to_the_policy() {
        assert!(!PLACEHOLDER.contains("style") && !PLACEHOLDER.contains("<script"));
    }
}
