//! Several processes that share a store: the race, the page's routes, and the end of it all.

#![allow(clippy::disallowed_methods, reason = "what never comes fails its test instead of the whole run")]

use std::collections::HashSet;
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::demo::{Running, SHORT, get, has, post, tierce};

/// Two processes and a server keep two processors busy: beside another pair the figures would be of the queue for them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // What another test has failed at is no concern of this one.
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

const JSON: &str = "application/json";
/// Longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn race(store: &str) -> Value {
    let several = ["demo", "--store", store, "--processes", "2", "--once", "--json"];
    let output = tierce(&[several.as_slice(), SHORT.as_slice()].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(report: &Value, column: usize, path: &str) -> u64 {
    let value = report["columns"][column].pointer(path);
    value.and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} of column {column} in {report}"))
}

#[track_caller]
fn check_counts(report: &Value, columns: usize) {
    let reads = |column: usize| -> u64 {
        ["place", "country", "search"].map(|kind| number(report, column, &format!("/queries/{kind}"))).iter().sum()
    };
    assert_eq!(report["columns"].as_array().unwrap().len(), columns);
    assert_eq!(report["shared"]["processes"], 2);
    // Without a cache each request of either process is a query.
    assert_eq!(number(report, 0, "/requests"), reads(0));
    for column in 0..columns {
        assert_eq!(number(report, column, "/updates"), number(report, column, "/queries/update"));
    }
    assert_eq!(number(report, 0, "/stampede/loads"), 80, "forty callers in each of two processes");
    let ours = columns - 1;
    // One among all; on a machine so busy that the store is slow to answer, one in each process.
    assert!((1..=2).contains(&number(report, ours, "/stampede/loads")), "{report}");
    assert!((1..=2).contains(&number(report, ours, "/absent_stampede/loads")), "{report}");
    // What was seen too late was seen within the promised bound.
    let stalest = |column: usize| report["columns"][column]["stalest_seconds"].as_f64().unwrap();
    assert!(stalest(ours) <= report["shared"]["bound_seconds"].as_f64().unwrap(), "{report}");
    let here = number(report, ours, "/stale_reads") - number(report, ours, "/stale_reads_elsewhere");
    assert_eq!((here, number(report, 0, "/stale_reads")), (0, 0), "{report}");
}

#[test]
fn processes_race_over_a_redis_of_their_own() {
    if !has("redis-server") {
        return;
    }
    let _alone = alone();
    let report = race("redis");
    check_counts(&report, 3);
    assert!(number(&report, 1, "/commands") > 0 && number(&report, 2, "/commands") > 0);
    assert_eq!(number(&report, 1, "/absent_stampede/loads"), 80, "the guide remembers no absence");
    check_outage(&report["outage"]);
}

/// The bounds are a busy machine's and an unoptimised build's; the command prints what an idle one measures.
#[track_caller]
fn check_outage(outage: &Value) {
    let seconds = |name: &str| outage[name].as_f64().unwrap_or_else(|| panic!("{name} of {outage}"));
    assert_eq!(outage["failed"], 0, "{outage}");
    assert!(outage["lookups"].as_u64().unwrap() > 100, "{outage}");
    // Each process waits until its breaker opens, and for no more than its budget.
    assert!(outage["waited"].as_u64().unwrap() >= 1 && seconds("longest_seconds") < 1.0, "{outage}");
    assert!(seconds("after_freeze_seconds") < 5.0 && seconds("after_restart_seconds") < 5.0, "{outage}");
}

#[test]
fn processes_race_over_a_memcached_without_the_guide_which_has_no_tags_there() {
    if !has("memcached") {
        return;
    }
    let _alone = alone();
    check_counts(&race("memcached"), 2);
}

#[test]
fn the_table_of_several_processes_fits_eighty_columns() {
    if !has("redis-server") {
        return;
    }
    let _alone = alone();
    let output = tierce(&[["demo", "--once", "--store", "redis"].as_slice(), SHORT.as_slice()].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for label in ["3 × 40 callers, cold key: loads", "promised at most", "commands of the server for 1,000"] {
        let line = text.lines().find(|line| line.trim_start().starts_with(label));
        let figures = line.unwrap_or_else(|| panic!("no row {label:?} in:\n{text}"));
        assert_eq!(figures.trim_start()[label.len()..].split("  ").filter(|cell| !cell.trim().is_empty()).count(), 3);
    }
    assert!(!text.contains("memory of the cache"), "that is not measured in other processes:\n{text}");
}

/// What the page is told until it is so.
fn live_until(address: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let (status, body) = get(address, "/live");
        assert_eq!(status, 200, "{body}");
        let told: Value = serde_json::from_str(&body).unwrap();
        if is_so(&told) {
            return told;
        }
        assert!(began.elapsed() < PATIENCE, "never {what}: {told}");
    }
}

fn trouble(address: &str, trouble: &str) -> Value {
    let (status, body) = post(address, "/do/store", JSON, &format!(r#"{{"trouble":"{trouble}"}}"#));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn each(told: &Value, is_so: impl Fn(&Value) -> bool) -> bool {
    told["store"]["processes"].as_array().unwrap().iter().all(is_so)
}

#[test]
fn a_store_that_is_frozen_killed_and_started_again_costs_nobody_an_answer() {
    if !has("redis-server") {
        return;
    }
    let _alone = alone();
    let (running, address) = Running::serve_with(&["--store", "redis", "--processes", "2"]);
    let told = live_until(&address, "coherent in both", |told| {
        each(told, |process| process["answers"] == true && process["store"]["is_coherent"] == true)
    });
    assert_eq!((&told["store"]["own"], &told["store"]["trouble"]), (&Value::Bool(true), &Value::from("none")));
    for what in ["frozen", "killed"] {
        trouble(&address, what);
        live_until(&address, "seen to be away by both", |told| {
            each(told, |process| process["store"]["is_away"] == true)
        });
        assert_eq!(get(&address, "/places/2988507").0, 200);
        let (status, body) = post(&address, "/places/2988507", JSON, r#"{"population": 7}"#);
        assert_eq!(status, 200, "the row is updated though the store cannot be told: {body}");
        assert_eq!(serde_json::from_str::<Value>(&get(&address, "/places/2988507").1).unwrap()["population"], 7);
        let back = trouble(&address, "none");
        assert!(back["recovered_ms"].is_number() && back["processes"] == 2, "{back}");
        live_until(&address, "told what it could not be told", |told| {
            each(told, |process| process["store"]["untold"] == 0 && process["store"]["is_coherent"] == true)
        });
    }
    let told = live_until(&address, "sampled", |told| told["samples"].as_array().unwrap().len() > 2);
    // None fails for want of a store; on a busy machine one may be too slow.
    let number = |name: &str| told["totals"][name].as_u64().unwrap();
    assert!(number("failed") * 50 <= number("lookups"), "{}", told["totals"]);
    running.stop();
}

#[test]
fn a_stampede_is_of_callers_in_all_processes_and_an_update_is_read_in_the_others() {
    if !has("redis-server") {
        return;
    }
    let _alone = alone();
    let (running, address) = Running::serve_with(&["--store", "redis", "--processes", "2"]);
    live_until(&address, "coherent", |told| each(told, |process| process["store"]["is_coherent"] == true));
    let (_, body) = post(&address, "/do/stampede", JSON, r#"{"callers":101}"#);
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&told["callers"], &told["processes"], &told["failed"]), (&101.into(), &2.into(), &0.into()), "{told}");
    assert!((1..=2).contains(&told["queries"].as_u64().unwrap()), "{told}");
    let (_, body) = post(&address, "/do/update", JSON, r#"{"id":2988507}"#);
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["others"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["read"]["place"]["version"], told["after"]["version"]);
    let (_, body) = get(&address, "/explain?cache=places&key=2988507");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert!(told["text"].as_str().unwrap().contains("its health: "), "{told}");
    running.stop();
}

#[test]
fn the_server_at_a_url_is_not_ours_to_break() {
    if !has("redis-server") {
        return;
    }
    let _alone = alone();
    // One that another demo has started.
    let (owner, owners) = Running::serve_with(&["--store", "redis", "--processes", "1"]);
    let told = live_until(&owners, "up", |told| told["store"]["title"].is_string());
    let port = told["store"]["title"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    let (guest, guests) = Running::serve_with(&["--store", &format!("redis://127.0.0.1:{port}"), "--processes", "1"]);
    let told = live_until(&guests, "up", |told| told["store"]["title"].is_string());
    assert_eq!(told["store"]["own"], false);
    assert_eq!(post(&guests, "/do/store", JSON, r#"{"trouble":"killed"}"#).0, 409);
    guest.stop();
    let still_there = live_until(&owners, "coherent", |told| each(told, |one| one["store"]["is_coherent"] == true));
    assert_eq!(still_there["store"]["trouble"], "none");
    owner.stop();
}

/// The processes below this one, by their numbers.
#[cfg(target_os = "linux")]
fn descendants(id: u32) -> HashSet<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|child: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
            // The name may contain anything; what follows its last parenthesis is state and parent.
            let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
            Some((child, parent))
        })
        .collect();
    let mut found = HashSet::from([id]);
    while parents.iter().any(|(child, parent)| found.contains(parent) && found.insert(*child)) {}
    found.remove(&id);
    found
}

#[cfg(target_os = "linux")]
fn is_running(id: u32) -> bool {
    // Who has ended and is not waited for yet is no more than a number.
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_outlives_a_demo_however_it_ends() {
    if !has("redis-server") {
        return;
    }
    let _alone = alone();
    for signal in ["INT", "KILL"] {
        let running = Running::start(&["demo", "--store", "redis", "--processes", "2", "--once", "--seconds", "600"]);
        let line = running.wait_for_stderr("processes share");
        let port: u16 = line.rsplit(' ').next().unwrap().trim().parse().unwrap();
        running.wait_for_stderr("racing");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "{line}");
        let below = descendants(running.id());
        // Two processes, a server, and a shell for each.
        assert!(below.len() >= 6, "{below:?}");
        running.signal(signal);
        let code = running.end().0;
        assert_eq!(code, if signal == "INT" { Some(130) } else { None });
        let began = Instant::now();
        while below.iter().any(|id| is_running(*id)) || TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(began.elapsed() < PATIENCE, "{signal}: {:?} still run", below.iter().filter(|id| is_running(**id)));
        }
    }
}
