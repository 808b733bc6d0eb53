//! What every answer says to browsers, and which requests of theirs are refused.
//!
//! Any page on the web may send requests to a service on this machine. It cannot read the answers, since none allows it;
//! but pressing a button needs no reading. So whatever changes something, or sets the traffic going, is answered only to
//! the page of this very service, and to tools, which send none of the headers by which browsers say who asks.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::answer::refusal;

/// No script, style or request but our own; nothing inline; no frame around us, so that no click is stolen.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Stands before every route.
pub(super) async fn stand(request: Request, next: Next) -> Response {
    let mut response = if acts(&request) && !is_ours(request.headers()) {
        refusal(StatusCode::FORBIDDEN, "only the page of this service, and tools on this machine, may do this")
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether it changes something, or sets the traffic going.
fn acts(request: &Request) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    !reads || request.uri().path() == "/live"
}

/// Whether our own page asks, or something that is no browser.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let Some(host) = text(header::HOST) else { return false };
    let same_site = text(HeaderName::from_static("sec-fetch-site")).is_none_or(|site| site == "same-origin");
    let same_origin = text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    // A name of somebody else's that was made to point at this machine is the same origin to a browser.
    same_site && same_origin && is_loopback(host)
}

fn is_loopback(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|authority| matches!(authority.host(), "127.0.0.1" | "localhost" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: bool) {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        assert_eq!(is_ours(&headers.collect()), expected);
    }

    #[test]
    fn our_page_and_tools_are_let_in_and_foreign_pages_are_not() {
        const HOST: (&str, &str) = ("host", "127.0.0.1:7878");
        check(&[HOST], true);
        check(&[("host", "localhost:9000"), ("origin", "http://localhost:9000")], true);
        check(&[HOST, ("origin", "http://127.0.0.1:7878"), ("sec-fetch-site", "same-origin")], true);
        check(&[HOST, ("origin", "http://127.0.0.1:7879")], false);
        check(&[HOST, ("origin", "https://127.0.0.1:7878")], false);
        check(&[HOST, ("origin", "https://example.org")], false);
        check(&[HOST, ("origin", "null")], false);
        check(&[HOST, ("sec-fetch-site", "cross-site")], false);
        check(&[HOST, ("sec-fetch-site", "same-site")], false);
        check(&[("host", "rebound.example.org:7878"), ("origin", "http://rebound.example.org:7878")], false);
        check(&[("host", "127.0.0.1.example.org")], false);
        check(&[], false);
    }
}
