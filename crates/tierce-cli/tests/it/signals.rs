//! Ctrl-C and SIGTERM end the command cleanly.

use crate::demo::{Running, get};

#[test]
fn a_signal_ends_the_service_with_a_closing_line() {
    for name in ["INT", "TERM"] {
        let (running, address) = Running::serve();
        assert_eq!(get(&address, "/places/1").0, 404);
        // A connection left open without a request does not keep it from ending.
        let _idle = std::net::TcpStream::connect(&address).unwrap();
        running.signal(name);
        let (code, stdout, stderr) = running.end();
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.contains("Stopped. Lookups: 1; database queries: 1; updates: 0."), "{stdout}");
    }
}

#[test]
fn a_signal_ends_the_race() {
    let running = Running::start(&["--once", "--seconds", "600"]);
    running.wait_for_stderr("racing");
    running.signal("INT");
    let (code, stdout, stderr) = running.end();
    assert_eq!((code, stdout.as_str()), (Some(130), ""));
    assert_eq!(stderr.trim(), "tierce: stopped before the race was over");
}
