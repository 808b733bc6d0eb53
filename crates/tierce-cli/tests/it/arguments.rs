//! What is wrong with a command line is said in one line, before any race.

use std::net::TcpListener;
use std::path::Path;

use crate::demo::{SHORT, tierce};

/// One line on stderr with `expected` in it, nothing on stdout, exit code 2.
fn check(arguments: &[&str], expected: &str) {
    let output = tierce(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(stderr.lines().count() == 1 && stderr.contains(expected), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_bad_argument_gets_one_line() {
    check(&["--speed"], "unexpected argument '--speed'");
    check(&["race"], "unrecognized subcommand 'race'");
    check(&["--seconds", "0"], "from 0.1 to 86400");
    check(&["--seconds", "soon"], "from 0.1 to 86400");
    check(&["--port", "70000"], "70000 is not in 0..=65535");
    check(&["--callers", "0"], "'0'");
    check(&["demo", "--trace"], "a value is required");
    check(&["--once", "--serve"], "cannot be used with");
    check(&["--processes", "2"], "--store");
    check(&["--store", "redis", "--processes", "0"], "'0'");
}

#[test]
fn a_store_that_cannot_be_used_gets_one_line() {
    check(&["--store", "mysql://127.0.0.1"], "redis://");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    check(&["--store", &format!("redis://127.0.0.1:{port}")], "did not answer");
    check(&["--store", &format!("redis://somebody:secret@127.0.0.1:{port}")], "***@127.0.0.1");
}

#[test]
fn an_interpreter_that_cannot_be_used_gets_one_line() {
    check(&["check-consistency", "--python-processes", "2"], "--python <INTERPRETER>");
    check(&["check-consistency", "--python", "/nowhere/python"], "cannot run /nowhere/python");
    check(&["check-consistency", "--python", "false"], "false is no CPython that works");
    let too_many = ["check-consistency", "--python", "false", "--python-processes", "4"];
    check(&too_many, "--python-processes 4 are more than the 3 of --processes");
    check(&["check-consistency", "--mutants", "--python", "false"], "cannot be used with");
}

#[test]
fn a_taken_port_gets_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    check(&["--serve", "--port", &port], &format!("port {port} is taken"));
}

#[test]
fn a_trace_that_cannot_be_used_gets_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    check(&["--trace", &file("empty.txt", b"")], "it has no keys");
    check(&["--trace", &file("blank.txt", b"\r\n \n")], "it has no keys");
    check(&["--trace", &file("packed.gz", b"\x1f\x8b\x08\x00\xff")], "it is not text");
    check(&["--trace", folder.path().join("none.txt").to_str().unwrap()], "no such file");
}

#[test]
fn a_trace_with_crlf_is_raced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.txt");
    std::fs::write(&path, "alpha\r\n17\r\nbeta\r\nalpha\r\n").unwrap();
    let path: &Path = &path;
    let output = tierce(&[&["--once", "--trace", path.to_str().unwrap()], SHORT.as_slice()].concat());
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("trace keys.txt, 4 requests"));
}

#[test]
fn help_and_version_go_to_stdout() {
    for (argument, expected) in [("--help", "--trace <FILE>"), ("--version", env!("CARGO_PKG_VERSION"))] {
        let output = tierce(&[argument]);
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(expected));
    }
}
