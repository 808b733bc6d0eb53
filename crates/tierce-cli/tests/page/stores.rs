//! Several processes and their store, as the page shows them and lets them suffer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Scene;
use crate::demo::has;
use crate::layout::{OUTSIDE, WINDOWS};

const SEVERAL: [&str; 4] = ["--store", "redis", "--processes", "2"];

/// All processes use the store, and their memory is coherent.
const WELL: &str = "document.querySelector('#store').innerText === 'store: connected' && \
                    document.querySelectorAll('#processes td.good').length === 4";

/// One of these at a time: processes, a server and a browser each are more than a busy machine can have several of.
static ONE: Mutex<()> = Mutex::new(());

/// The page of two processes with a server of their own, and little traffic; `None` where there is no server to start.
fn open() -> Option<(Scene, MutexGuard<'static, ()>)> {
    if !has("redis-server") {
        return None;
    }
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut scene = Scene::open_with(&SEVERAL);
    scene.page.ask(
        "(() => { const t = document.querySelector('#traffic'); t.value = '100'; t.dispatchEvent(new Event('change')); })()",
    );
    scene.page.until(WELL);
    Some((scene, one))
}

fn press(scene: &mut Scene, selector: &str) -> String {
    scene.page.ask("globalThis.before = document.querySelector('#told li')");
    scene.page.click(selector);
    scene.page.until("document.querySelector('#told li') !== before");
    scene.told()
}

/// Hardly any lookup ends without an answer. None does for want of a store; on a busy machine one may be too slow.
#[track_caller]
fn check_answers(scene: &Scene) {
    let totals = &scene.server_says("/live")["totals"];
    let number = |name: &str| totals[name].as_u64().unwrap();
    assert!(number("failed") * 50 <= number("lookups"), "{totals}");
}

#[test]
fn a_frozen_store_is_shown_answers_go_on_and_so_does_its_recovery() {
    let Some((mut scene, _one)) = open() else { return };
    scene.settle();
    let told = press(&mut scene, "#store-freeze");
    assert!(told.starts_with("The store stands still"), "{told}");
    scene.page.until("document.querySelector('#store').innerText === 'store: frozen'");
    scene.page.until("document.querySelectorAll('#processes td.bad').length >= 2");
    scene.page.until("document.querySelector('#processes').innerText.includes('goes on for')");
    // Lookups of what was there and of what was not are answered as before.
    let found = press(&mut scene, "#search button");
    assert!(found.starts_with("Hit") || found.starts_with("Miss"), "{found}");
    scene.samples(4);
    scene.page.until("parseFloat(document.querySelector('#plot-rate b').textContent) > 10");
    scene.page.screenshot("store-frozen-1440-light");
    let told = press(&mut scene, "#store-back");
    assert!(told.starts_with("The store is back"), "{told}");
    scene.page.until(WELL);
    scene.page.until("document.querySelector('#told').innerText.includes('lookups were answered from memory')");
    scene.page.until("!document.querySelector('#store-freeze').hidden");
    check_answers(&scene);
    scene.page.screenshot("store-back-1440-light");
    scene.close();
}

#[test]
fn a_killed_store_is_started_again_and_filled_again() {
    let Some((mut scene, _one)) = open() else { return };
    scene.settle();
    let told = press(&mut scene, "#store-kill");
    assert!(told.starts_with("The store is gone"), "{told}");
    scene.page.until("document.querySelector('#store').innerText === 'store: killed'");
    scene.page.until("document.querySelectorAll('#processes td.bad').length >= 2");
    // Memory goes on for ten seconds, and then with what each process has loaded since.
    scene.page.until("document.querySelector('#processes').innerText.includes('on its own')");
    scene.samples(2);
    assert_eq!(scene.page.ask("document.querySelector('#store-back').innerText"), "Start the store again");
    scene.page.screenshot("store-killed-1440-light");
    let told = press(&mut scene, "#store-back");
    assert!(told.starts_with("The store is back"), "{told}");
    scene.page.until(WELL);
    check_answers(&scene);
    scene.close();
}

#[test]
fn an_update_is_seen_in_other_processes_and_explained_with_the_store() {
    let Some((mut scene, _one)) = open() else { return };
    let told = press(&mut scene, "#update button");
    assert!(told.contains("in process 2"), "{told}");
    let told = press(&mut scene, "#stampede");
    assert!(told.contains("1,000 callers in 2 processes"), "{told}");
    scene.page.ask("document.querySelector('#explain-text').value = '2988507'");
    scene.page.click("#explain-key button");
    scene.page.until("document.querySelector('#explain').innerText.includes('In the store')");
    scene.page.screenshot("store-explain-1440-light");
    scene.close();
}

#[test]
fn nothing_scrolls_sideways_with_processes_in_three_widths_and_both_schemes() {
    let Some((mut scene, _one)) = open() else { return };
    scene.settle();
    for (width, height) in WINDOWS {
        for scheme in ["light", "dark"] {
            scene.page.look_like(width, height, scheme);
            scene.samples(1);
            assert_eq!(scene.page.ask(OUTSIDE), "", "at {width} in {scheme}");
            scene.page.screenshot(&format!("store-{width}-{scheme}"));
        }
    }
    scene.close();
}

#[test]
fn without_a_store_nothing_is_said_of_one() {
    let mut scene = Scene::open();
    scene.samples(2);
    let shown = scene.page.ask(
        "['#shared', '#store', '#store-trouble'].filter((id) => document.querySelector(id).checkVisibility()).join()",
    );
    assert_eq!(shown, "");
    let text = scene.page.ask("document.querySelector('main').innerText.toLowerCase()");
    assert!(!text.as_str().unwrap().contains("found in the store"), "{text}");
    scene.close();
}
