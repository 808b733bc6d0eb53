//! The HTTP routes.

use serde_json::Value;

use crate::demo::{Running, get, post};

const PARIS: &str = "/places/2988507";
const FORM: &str = "application/x-www-form-urlencoded";

fn json(answer: (u16, String)) -> Value {
    assert_eq!(answer.0, 200, "{}", answer.1);
    serde_json::from_str(&answer.1).unwrap()
}

fn queries(address: &str, kind: &str) -> u64 {
    json(get(address, "/stats"))["database"]["queries"][kind].as_u64().unwrap()
}

fn check_reads(address: &str) {
    for _ in 0..3 {
        assert_eq!(json(get(address, PARIS))["name"], "Paris");
        assert_eq!(json(get(address, "/countries/fr"))[0]["name"], "Paris");
        assert_eq!(json(get(address, "/search?q=San+Fransico"))[0]["name"], "San Francisco");
        assert_eq!(json(get(address, "/search?q=s%C3%A3o%20palo"))[0]["name"], "São Paulo");
        assert_eq!(get(address, "/places/1").0, 404);
    }
    let counted = ["place", "absent", "country", "search", "update"].map(|kind| queries(address, kind));
    assert_eq!(counted, [2, 1, 1, 2, 0], "each thing is asked of the database once");
    assert!(get(address, "/").1.contains(&format!("{address}/places/")), "the examples name this very service");
}

fn check_updates(address: &str) {
    assert_eq!(json(post(address, PARIS, FORM, "population=42"))["population"], 42);
    assert_eq!(json(get(address, PARIS))["population"], 42);
    assert_ne!(json(get(address, "/countries/fr"))[0]["name"], "Paris", "the list has gone with its place");
    let renamed = post(address, PARIS, "application/json", r#"{"name": "San Fransico"}"#);
    assert_eq!(json(renamed)["version"], 2);
    assert_eq!(json(get(address, "/search?q=San+Fransico"))[0]["id"], 2_988_507, "a new name is found at once");
    assert_eq!(queries(address, "update"), 2);
}

fn check_refusals(address: &str) {
    let refused = |answer: (u16, String), status| {
        assert_eq!(answer.0, status, "{}", answer.1);
        assert!(answer.1.contains("\"error\""), "{}", answer.1);
    };
    refused(get(address, "/search"), 400);
    refused(get(address, "/places/paris"), 400);
    refused(get(address, "/countries/france"), 400);
    refused(get(address, "/nowhere"), 404);
    refused(post(address, PARIS, FORM, ""), 400);
    refused(post(address, PARIS, FORM, "population=-1"), 400);
    refused(post(address, PARIS, "application/json", "{\"name\": \" \"}"), 400);
    refused(post(address, PARIS, "application/json", "{\"rank\": 1}"), 400);
    refused(post(address, "/places/1", FORM, "population=7"), 404);
}

#[test]
fn routes_answer_from_the_cache_and_updates_are_seen_at_once() {
    let (running, address) = Running::serve();
    check_reads(&address);
    check_updates(&address);
    check_refusals(&address);
    running.stop();
}
