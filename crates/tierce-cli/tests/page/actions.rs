//! The buttons do what they say.

use crate::Scene;

/// Presses, and waits for the line that tells of it.
fn press(scene: &mut Scene, selector: &str) -> String {
    scene.page.ask("globalThis.before = document.querySelector('#told li')");
    scene.page.click(selector);
    scene.page.until("document.querySelector('#told li') !== before");
    scene.told()
}

fn type_into(scene: &mut Scene, selector: &str, text: &str) {
    scene.page.ask(&format!("document.querySelector({selector:?}).value = {text:?}"));
}

#[test]
fn a_search_is_a_miss_then_a_hit_and_its_result_can_be_updated() {
    let mut scene = Scene::open();
    type_into(&mut scene, "#text", "Sankt Galen");
    let first = press(&mut scene, "#search button");
    assert!(first.starts_with("Miss") && first.contains("Sankt Gallen, CH"), "{first}");
    let second = press(&mut scene, "#search button");
    assert!(second.starts_with("Hit") && second.contains("from memory"), "{second}");

    let id = scene.page.ask("document.querySelector('#place').value").as_str().unwrap().to_owned();
    let before = scene.server_says(&format!("/places/{id}"));
    let told = press(&mut scene, "#update button");
    let after = scene.server_says(&format!("/places/{id}"));
    assert_eq!(after["population"].as_u64(), before["population"].as_u64().map(|number| number + 1));
    let version = after["version"].as_u64().unwrap();
    assert!(told.contains(&format!("place:{id}")) && told.contains(&format!("version {version}")), "{told}");
    let third = press(&mut scene, "#search button");
    assert!(third.starts_with("Miss"), "the update ended what held the place: {third}");
    scene.close();
}

#[test]
fn a_tag_ends_what_has_it() {
    let mut scene = Scene::open();
    type_into(&mut scene, "#text", "qwxzk");
    assert!(press(&mut scene, "#search button").starts_with("Miss"));
    let told = press(&mut scene, "#invalidate button");
    assert!(told.starts_with("Tag searches invalidated in"), "{told}");
    assert!(press(&mut scene, "#search button").starts_with("Miss"));
    let explained = scene.server_says("/explain?cache=searches&key=qwxzk");
    assert_eq!(explained["last_gone"], "invalidated by tag");
    scene.close();
}

#[test]
fn a_stampede_of_a_thousand_is_one_query() {
    let mut scene = Scene::open();
    let loads = |scene: &Scene| scene.server_says("/stats")["caches"]["searches"]["coalesced"].as_u64().unwrap();
    scene.settle();
    let before = loads(&scene);
    let told = press(&mut scene, "#stampede");
    assert!(told.starts_with("1,000 callers, 1 query,"), "{told}");
    assert!(loads(&scene) - before > 500, "the others waited for that one load");
    scene.samples(2);
    scene.page.screenshot("stampede-1440-light");
    scene.close();
}

#[test]
fn traffic_goes_as_fast_as_it_is_told_and_pauses() {
    let mut scene = Scene::open();
    let choose = |scene: &mut Scene, rate: &str| {
        scene.page.ask(&format!(
            "(() => {{ const t = document.querySelector('#traffic'); t.value = '{rate}'; t.dispatchEvent(new \
             Event('change')); }})()"
        ));
    };
    choose(&mut scene, "0");
    scene.page.until("document.querySelector('#plot-rate b').textContent === '–'");
    assert_eq!(scene.server_says("/live")["traffic"]["per_second"], 0);
    choose(&mut scene, "1000");
    scene.page.until("parseFloat(document.querySelector('#plot-queries b').textContent.replace(',', '')) > 500");
    assert_eq!(scene.server_says("/live")["traffic"]["per_second"], 1000);
    scene.close();
}

#[test]
fn explain_opens_by_click_and_by_keyboard_and_gives_the_focus_back() {
    let mut scene = Scene::open();
    scene.page.click("#caches button");
    scene.page.until("document.querySelector('#explain').open && document.querySelector('#explain-facts dd')");
    let text = scene.page.ask("document.querySelector('#explain').innerText");
    let text = text.as_str().unwrap();
    assert!(text.contains("Cache places") && text.contains("30,000 entries"), "{text}");
    scene.page.key("Escape", 27);
    scene.page.until("!document.querySelector('#explain').open");

    // The list holds still under the focus, so that the chosen one is the explained one.
    scene.page.ask("document.querySelector('#recent button').focus()");
    let key = scene.page.ask("document.activeElement.dataset.key");
    scene.page.key("Enter", 13);
    scene.page.until("document.querySelector('#explain').open && document.querySelector('#explain-facts dd')");
    let title = scene.page.ask("document.querySelector('#explain-title').innerText");
    assert!(title.as_str().unwrap().ends_with(key.as_str().unwrap()), "{title} explains {key}");
    scene.page.screenshot("explain-1440-light");
    scene.page.key("Escape", 27);
    scene.page.until("document.activeElement.closest('#recent') !== null");
    assert_eq!(scene.page.ask("document.activeElement.dataset.key"), key);
    scene.close();
}
