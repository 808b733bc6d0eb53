//! What serves the live page: its headers, who may press its buttons, their bounds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::demo::{Running, exchange, get, post};

const JSON: &str = "application/json";

/// A request with these headers beside the ones that it needs; returns the whole answer.
fn ask(address: &str, method: &str, path: &str, headers: &[&str], body: &str) -> (String, String) {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    exchange(
        address,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: \
             {length}\r\n{headers}\r\n{body}"
        ),
    )
}

fn status(answer: &(String, String)) -> u16 {
    answer.0.split(' ').nth(1).unwrap().parse().unwrap()
}

fn live(address: &str) -> Value {
    let (status, body) = get(address, "/live");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn check_headers(address: &str) {
    for (method, path) in [("GET", "/"), ("GET", "/main.js"), ("GET", "/live"), ("GET", "/none"), ("GET", "/do/update")]
    {
        let (head, body) = ask(address, method, path, &[], "");
        let head = head.to_lowercase();
        let policy = head.lines().find(|line| line.starts_with("content-security-policy:")).expect(path);
        for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(head.contains("x-content-type-options: nosniff") && head.contains("cache-control: no-store"), "{head}");
        assert!(!body.contains("<script>") && !body.contains("<style") && !body.contains(" style="), "{path}");
    }
    let kind = |path: &str| ask(address, "GET", path, &[], "").0.to_lowercase();
    assert!(kind("/").contains("content-type: text/html; charset=utf-8"));
    assert!(kind("/page.css").contains("content-type: text/css; charset=utf-8"));
    assert!(kind("/plot.js").contains("content-type: text/javascript; charset=utf-8"));
    assert!(kind("/icon.svg").contains("content-type: image/svg+xml"));
}

fn check_strangers(address: &str) {
    let press = |headers: &[&str]| {
        let headers = [&["Content-Type: application/json"], headers].concat();
        status(&ask(address, "POST", "/do/traffic", &headers, r#"{"per_second":0}"#))
    };
    let origin = format!("Origin: http://{address}");
    assert_eq!(press(&[]), 200, "a tool says nothing of where it comes from");
    assert_eq!(press(&[&origin, "Sec-Fetch-Site: same-origin"]), 200);
    assert_eq!(press(&["Origin: https://example.org"]), 403);
    assert_eq!(press(&["Origin: null"]), 403);
    assert_eq!(press(&["Sec-Fetch-Site: cross-site"]), 403);
    assert_eq!(press(&[&origin, "Sec-Fetch-Site: same-site"]), 403);
    let foreign = ["Sec-Fetch-Site: cross-site"];
    assert_eq!(status(&ask(address, "GET", "/live", &foreign, "")), 403, "it would set the traffic going");
    assert_eq!(status(&ask(address, "GET", "/", &foreign, "")), 200, "a link may lead here");
    let update = ask(address, "POST", "/places/2988507", &foreign, "population=1");
    assert_eq!(status(&update), 403, "nor may it change a row");
    for path in ["/do/search", "/do/update", "/do/invalidate", "/do/stampede", "/do/database", "/do/traffic"] {
        assert_eq!(get(address, path).0, 405, "{path} by GET");
        assert_eq!(post(address, path, "application/x-www-form-urlencoded", "callers=1").0, 415, "{path} by a form");
    }
}

fn check_bounds(address: &str) {
    let refused = |path: &str, body: &str, expected: u16| {
        let (status, answer) = post(address, path, JSON, body);
        assert_eq!(status, expected, "{path} {body}: {answer}");
        assert!(answer.contains("\"error\""), "{answer}");
    };
    refused("/do/stampede", r#"{"callers":0}"#, 400);
    refused("/do/stampede", r#"{"callers":10001}"#, 400);
    refused("/do/traffic", r#"{"per_second":5001}"#, 400);
    refused("/do/invalidate", r#"{"tag":" "}"#, 400);
    refused("/do/invalidate", &format!(r#"{{"tag":"{}"}}"#, "x".repeat(201)), 400);
    refused("/do/search", r#"{"q":""}"#, 400);
    refused("/do/search", &format!(r#"{{"q":"{}"}}"#, "x".repeat(5_000)), 413);
    refused("/do/update", r#"{"id":1}"#, 404);
    refused("/do/database", r#"{"health":"gone"}"#, 422);
    refused("/do/traffic", r#"{"per_second":1,"more":2}"#, 422);
    assert_eq!(get(address, "/explain?cache=none").0, 404);
    assert_eq!(get(address, "/explain?cache=places&key=paris").0, 400);
}

#[test]
fn only_the_page_itself_and_tools_may_press_and_every_answer_has_its_policy() {
    let (running, address) = Running::serve();
    check_headers(&address);
    check_strangers(&address);
    check_bounds(&address);
    running.stop();
}

fn lookups(address: &str) -> u64 {
    let stats: Value = serde_json::from_str(&get(address, "/stats").1).unwrap();
    let caches = stats["caches"].as_object().unwrap();
    caches.values().map(|cache| cache["hits"].as_u64().unwrap() + cache["misses"].as_u64().unwrap()).sum()
}

#[test]
fn traffic_runs_while_somebody_looks_and_not_before() {
    let (running, address) = Running::serve();
    assert_eq!(get(&address, "/").0, 200);
    assert_eq!(lookups(&address), 0, "the page alone sets nothing going");
    // Each question is a look, and the answer to one of them has the first samples.
    while live(&address)["samples"].as_array().unwrap().len() < 2 {}
    assert!(lookups(&address) > 10);
    let newest = live(&address)["samples"].as_array().unwrap().last().unwrap().clone();
    let seq = newest["seq"].as_u64().unwrap();
    let later: Value = serde_json::from_str(&get(&address, &format!("/live?after={seq}")).1).unwrap();
    assert!(later["samples"].as_array().unwrap().iter().all(|sample| sample["seq"].as_u64().unwrap() > seq));
    running.stop();
}

#[test]
fn a_stampede_is_one_query_and_a_failing_database_fails_it_for_all() {
    let (running, address) = Running::serve();
    let stampede = || -> Value {
        let (status, body) = post(&address, "/do/stampede", JSON, r#"{"callers":1000}"#);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    let told = stampede();
    assert_eq!((told["queries"].as_u64(), told["failed"].as_u64()), (Some(1), Some(0)), "{told}");
    assert!(told["first_us"].as_f64() <= told["last_us"].as_f64());
    assert_eq!(post(&address, "/do/database", JSON, r#"{"health":"failing"}"#).0, 200);
    let told = stampede();
    // A query that fails at once is over before the last caller comes, and failures are not kept.
    assert_eq!(told["failed"], 1_000, "{told}");
    assert!(told["error"].as_str().unwrap().contains("told to fail"), "{told}");
    assert_eq!(get(&address, "/places/2988507").0, 500);
    assert_eq!(post(&address, "/do/database", JSON, r#"{"health":"running"}"#).0, 200);
    assert_eq!(get(&address, "/places/2988507").0, 200);
    running.stop();
}

/// As many connections as there is room for, and one more, which waits at the door.
#[test]
fn connections_are_bounded_and_who_waits_is_let_in_when_one_leaves() {
    let (running, address) = Running::serve();
    let request = format!("GET /stats HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut idle: Vec<_> = (0..256).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let mut waiting = TcpStream::connect(&address).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    waiting.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 12];
    assert!(waiting.read(&mut answer).is_err(), "there is no room for it");
    waiting.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    idle.pop();
    waiting.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(idle);
    running.stop();
}

/// Whoever waits for a frozen database does not keep the command from ending.
#[cfg(unix)]
#[test]
fn a_signal_ends_a_freeze() {
    let (running, address) = Running::serve();
    assert_eq!(post(&address, "/do/database", JSON, r#"{"health":"frozen"}"#).0, 200);
    let waiting = {
        let address = address.clone();
        std::thread::spawn(move || get(&address, "/countries/fr"))
    };
    while live(&address)["database"]["queued"] == 0 {}
    running.signal("TERM");
    let (code, stdout, stderr) = running.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("Stopped."), "{stdout}");
    assert_eq!(waiting.join().unwrap().0, 200, "the freeze was ended for who waited");
}
