//! The live page as its users meet it: in a browser, against the command's own server.
//!
//! `./check page` sees to the browser and runs this; the other stages leave it out (`required-features`). With
//! `TIERCE_SCREENSHOTS=folder` it leaves pictures there.

#![allow(clippy::unwrap_used, reason = "a test may panic wherever something is not as it should be")]

mod browser;
#[path = "../it/demo.rs"]
#[allow(dead_code, reason = "the command's own tests use more of it")]
mod demo;
mod socket;

mod actions;
mod layout;
mod outages;
mod stores;
mod weight;

use serde_json::Value;

use browser::{Browser, Page};
use demo::{Running, get};

/// A server, a browser, and the page open in it.
struct Scene {
    page: Page,
    browser: Browser,
    address: String,
    server: Running,
}

impl Scene {
    /// The page with its first samples.
    fn open() -> Self {
        Self::open_with(&[])
    }

    /// The same of a command with more arguments.
    fn open_with(more: &[&str]) -> Self {
        let (server, address) = Running::serve_with(more);
        let browser = Browser::start();
        let mut page = browser.page();
        page.look_like(1440, 900, "light");
        page.open(&format!("http://{address}/"));
        page.until("document.body.dataset.seq > 1");
        Self { page, browser, address, server }
    }

    /// What the server itself says.
    fn server_says(&self, path: &str) -> Value {
        let (status, body) = get(&self.address, path);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The newest line of what happened.
    fn told(&mut self) -> String {
        self.page.ask("document.querySelector('#told li').innerText").as_str().unwrap().to_owned()
    }

    /// Waits for so many samples more.
    fn samples(&mut self, more: u32) {
        self.page.ask("globalThis.seen = Number(document.body.dataset.seq)");
        self.page.until(&format!("document.body.dataset.seq >= seen + {more}"));
    }

    /// Lets the plots fill a little; nearly to the brim for a picture.
    fn settle(&mut self) {
        let half_seconds = if std::env::var_os("TIERCE_SCREENSHOTS").is_some() { 55 } else { 8 };
        self.samples(half_seconds);
    }

    /// All is well: nothing was complained of, and the server ends as it should.
    fn close(self) {
        assert_eq!(self.page.complaints, Vec::<String>::new());
        drop(self.browser);
        self.server.stop();
    }
}
