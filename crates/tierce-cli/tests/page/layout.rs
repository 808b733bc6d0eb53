//! The page fits phones, tablets and desktops, in both schemes.

use crate::Scene;

/// What sticks out of the window, as text; nothing on a page that fits.
pub(crate) const OUTSIDE: &str = "[...document.querySelectorAll('body *')].filter((element) => {
    const { right, left, width } = element.getBoundingClientRect();
    const clipped = element.closest('pre, .away, dialog, noscript, .recent, .scroll');
    return width > 0 && !clipped && (right > innerWidth + 0.5 || left < -0.5);
}).map((element) => element.outerHTML.slice(0, 80)).join('\\n')";

/// A phone, a tablet, a desktop.
pub(crate) const WINDOWS: [(u32, u32); 3] = [(390, 844), (820, 1180), (1440, 900)];

#[test]
fn nothing_scrolls_sideways_at_three_widths_in_both_schemes() {
    let mut scene = Scene::open();
    scene.page.click("#search button");
    scene.page.until("document.querySelector('#told li[data-kind]')");
    scene.page.ask("scrollTo(0, 0)");
    scene.settle();
    for (width, height) in WINDOWS {
        for scheme in ["light", "dark"] {
            scene.page.look_like(width, height, scheme);
            scene.samples(1);
            let wide = scene.page.ask("document.documentElement.scrollWidth").as_f64().unwrap();
            assert!(wide <= f64::from(width), "{wide} at {width}: {}", scene.page.ask(OUTSIDE));
            assert_eq!(scene.page.ask(OUTSIDE), "", "at {width} in {scheme}");
            scene.page.screenshot(&format!("page-{width}-{scheme}"));
        }
    }
    scene.close();
}

#[test]
fn every_control_has_a_name_and_is_reached_by_tab() {
    let mut scene = Scene::open();
    let nameless = scene.page.ask(
        "[...document.querySelectorAll('button, input, select, canvas')].filter((control) => !(control.innerText || \
         control.labels?.length || control.getAttribute('aria-label'))).map((control) => control.outerHTML).join()",
    );
    assert_eq!(nameless, "");
    let controls = scene.page.ask(
        "[...document.querySelectorAll('main button, main input, main select, main canvas')].filter((control) => \
         control.checkVisibility() && !control.disabled).length",
    );
    scene.page.ask("globalThis.reached = new Set()");
    for _ in 0..controls.as_u64().unwrap() + 12 {
        scene.page.key("Tab", 9);
        scene.page.ask("document.activeElement.matches('main *') && reached.add(document.activeElement).size");
    }
    let missed = scene.page.ask(
        "[...document.querySelectorAll('main button, main input, main select, main canvas')].filter((control) => \
         control.checkVisibility() && !control.disabled && !reached.has(control)).map((c) => c.outerHTML).join()",
    );
    assert_eq!(missed, "");
    let outline = scene.page.ask(
        "(() => { document.querySelector('#freeze').focus(); return \
         getComputedStyle(document.querySelector('#freeze')).outlineStyle; })()",
    );
    assert_eq!(outline, "solid", "the focus is seen");
    scene.close();
}
