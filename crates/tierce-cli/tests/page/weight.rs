//! The page is light: soon there, small, and not growing.

use crate::Scene;

/// The promise on an idle machine is 300 ms; beside the builds of a continuous integration it may take longer.
const FIRST_PAINT_MS: f64 = 1_500.0;
/// All that the page loads, its first answers from the live feed among them.
const BYTES: f64 = 150_000.0;

#[test]
fn it_paints_soon_and_transfers_little() {
    let mut scene = Scene::open();
    // Once more, now that the browser itself is awake.
    scene.page.received.clear();
    let address = format!("http://{}/", scene.address);
    scene.page.open(&address);
    scene.page.until("document.body.dataset.seq > 1 && performance.getEntriesByName('first-contentful-paint').length");
    let paint = scene.page.ask("performance.getEntriesByName('first-contentful-paint')[0].startTime").as_f64().unwrap();
    let bytes: f64 = scene.page.received.iter().sum();
    println!("first paint after {paint:.0} ms; {bytes:.0} bytes in {} answers", scene.page.received.len());
    assert!(paint <= FIRST_PAINT_MS, "first paint after {paint} ms");
    assert!(bytes > 20_000.0 && bytes <= BYTES, "{bytes} bytes");
    let foreign = scene
        .page
        .ask("performance.getEntriesByType('resource').filter(({ name }) => !name.startsWith(location.origin)).length");
    assert_eq!(foreign, 0, "nothing comes from anywhere else");
    scene.close();
}

#[test]
fn what_is_not_its_own_is_refused_by_the_policy() {
    let mut scene = Scene::open();
    let refused = scene.page.ask(
        "new Promise((resolve) => {
            addEventListener('securitypolicyviolation', (violation) => resolve(violation.effectiveDirective));
            document.body.append(Object.assign(document.createElement('script'), { textContent: 'globalThis.bad = 1' }));
        })",
    );
    assert_eq!(refused, "script-src-elem");
    assert_eq!(scene.page.ask("globalThis.bad === undefined"), true);
    scene.page.complaints.retain(|complaint| !complaint.contains("Content Security Policy"));
    scene.close();
}

#[test]
fn a_page_that_is_left_open_does_not_grow() {
    let mut scene = Scene::open();
    // The lists are full by then.
    scene.samples(10);
    let (nodes, heap) = (scene.page.metric("Nodes"), scene.page.metric("JSHeapUsedSize"));
    for _ in 0..4 {
        scene.samples(30);
    }
    let (nodes_after, heap_after) = (scene.page.metric("Nodes"), scene.page.metric("JSHeapUsedSize"));
    println!("60 s: {nodes} nodes became {nodes_after}, {heap:.0} bytes of heap {heap_after:.0}");
    // Texts are replaced all the time: a few nodes are always between being made and being collected.
    assert!(nodes_after <= nodes + 30.0, "{nodes} nodes became {nodes_after}");
    // A hundred and twenty samples of some 500 bytes, and what the engine keeps of code that has become hot.
    assert!(heap_after <= heap + 500_000.0, "{heap} bytes became {heap_after}");
    let asking =
        scene.page.ask("performance.getEntriesByType('resource').filter((entry) => !entry.responseEnd).length");
    assert_eq!(asking, 0);
    scene.close();
}
