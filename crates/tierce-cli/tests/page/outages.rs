//! What the page shows while the database, or the server, is in trouble.

use std::process::Command;

use crate::Scene;
use crate::demo::Running;

fn number(scene: &mut Scene, selector: &str) -> f64 {
    let text = scene.page.ask(&format!("document.querySelector({selector:?}).textContent"));
    text.as_str().unwrap().replace(',', "").parse().unwrap_or(0.0)
}

#[test]
fn a_frozen_database_lets_queries_queue_and_ends_by_itself() {
    let mut scene = Scene::open();
    scene.settle();
    scene.page.click("#freeze");
    scene.page.until("document.querySelector('#health').className.includes('frozen')");
    scene.page.until("parseFloat(document.querySelector('#plot-trouble b').textContent) >= 4");
    assert_eq!(scene.server_says("/live")["database"]["health"], "frozen");
    assert!(scene.server_says("/live")["database"]["queued"].as_u64().unwrap() >= 4);
    scene.page.until("[...document.querySelectorAll('#plot-trouble b')][2].textContent !== '0'");
    scene.page.screenshot("frozen-1440-light");
    scene.page.look_like(1440, 900, "dark");
    scene.samples(1);
    scene.page.screenshot("frozen-1440-dark");
    // Nobody ends it.
    scene.page.until("document.querySelector('#told').innerText.includes('The freeze is over')");
    assert_eq!(scene.server_says("/live")["database"]["health"], "running");
    scene.page.until("document.querySelector('#plot-trouble b').textContent === '0'");
    scene.page.screenshot("thawed-1440-dark");
    scene.close();
}

#[test]
fn a_failing_database_fails_its_queries_and_can_be_mended_at_once() {
    let mut scene = Scene::open();
    scene.page.click("#fail");
    scene.page.until("document.querySelector('#health').className.includes('bad')");
    scene.page.ask("document.querySelector('#text').value = 'never asked before'");
    scene.page.click("#search button");
    scene.page.until("document.querySelector('#told').innerText.includes('told to fail')");
    scene.page.until("!document.querySelector('#search button').disabled");
    assert!(scene.server_says("/stats")["caches"]["searches"]["load_errors"].as_u64().unwrap() >= 1);
    scene.page.until("!document.querySelector('#thaw').hidden");
    scene.samples(3);
    scene.page.screenshot("failing-1440-light");
    scene.page.click("#thaw");
    scene.page.until("document.querySelector('#told').innerText.includes('The failure is over')");
    assert!(number(&mut scene, "#tile-queries") > 0.0);
    scene.page.click("#search button");
    scene.page.until("document.querySelector('#told li').innerText.startsWith('Miss')");
    // The browser notes each answer that is no success; the page has told of this one.
    scene.page.complaints.retain(|complaint| !complaint.contains("500"));
    scene.close();
}

#[test]
fn a_server_that_is_gone_is_told_of_and_found_again() {
    let mut scene = Scene::open();
    let port = scene.address.rsplit(':').next().unwrap().to_owned();
    std::mem::replace(&mut scene.server, idle()).stop();
    scene.page.until("!document.querySelector('#lost').hidden");
    scene.page.screenshot("lost-1440-light");
    scene.page.click("#stampede");
    scene.page.until("document.querySelector('#told li').innerText.includes('cannot be reached')");
    scene.server = Running::start(&["--serve", "--port", &port, "--seconds", "0.3", "--callers", "40"]);
    scene.page.until("document.querySelector('#lost').hidden && document.body.dataset.seq > 1");
    assert_eq!(scene.page.ask("document.querySelector('#link').innerText"), "live");
    // A browser notes each connection that was refused.
    scene.page.complaints.retain(|complaint| !complaint.contains("ERR_CONNECTION_REFUSED"));
    scene.close();
}

/// Something to hold the place of a server.
fn idle() -> Running {
    assert!(Command::new(env!("CARGO_BIN_EXE_tierce")).arg("--version").output().unwrap().status.success());
    Running::start(&["--version"])
}
