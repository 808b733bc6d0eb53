//! A headless Chromium and a page of it, driven over the DevTools protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::socket::Socket;

/// Longer than any step takes on a busy machine; a step that hangs fails its test instead of the whole run.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Debian calls it, and others.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser with an empty profile of its own, ended when dropped.
pub(crate) struct Browser {
    child: Child,
    address: String,
    _profile: tempfile::TempDir,
}

/// One tab.
pub(crate) struct Page {
    socket: Socket,
    last: u64,
    /// What the page complained of: exceptions, errors on the console, what its policy refused.
    pub(crate) complaints: Vec<String>,
    /// Bytes that came over the network, of each answer that has ended.
    pub(crate) received: Vec<f64>,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--remote-debugging-port=0",
            "about:blank",
        ];
        let mut child = NAMES
            .iter()
            .find_map(|name| {
                let mut command = Command::new(name);
                command.args(flags).arg(format!("--user-data-dir={}", profile.path().display()));
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()
            })
            .expect("chromium is installed: `./check page` sees to it");
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("DevTools listening on ws://") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "chromium ended before it listened");
        }
        // It goes on to write warnings; a full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let address = line.split("ws://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
        Self { child, address, _profile: profile }
    }

    /// A new tab, empty, that notes all that it complains of.
    pub(crate) fn page(&self) -> Page {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(connection, "PUT /json/new HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let answer = body(connection);
        let target: Value = serde_json::from_str(&answer).unwrap();
        let url = target["webSocketDebuggerUrl"].as_str().unwrap();
        let path = &url[url.find("/devtools").unwrap()..];
        let socket = Socket::open(&self.address, path, PATIENCE);
        let mut page = Page { socket, last: 0, complaints: Vec::new(), received: Vec::new() };
        // Several browsers run at once, and each page is to think that it is the one in front.
        page.call("Emulation.setFocusEmulationEnabled", &json!({ "enabled": true }));
        for domain in ["Page", "Runtime", "Network", "Log", "Performance"] {
            page.call(&format!("{domain}.enable"), &json!({}));
        }
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Chromium keeps the connection open whatever it is asked: the length is the end.
fn body(connection: TcpStream) -> String {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(("content-length", value)) = line.to_lowercase().split_once(':') {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            return String::from_utf8(body).unwrap();
        }
    }
}

impl Page {
    /// Calls a method of the protocol and waits for its result.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let id = self.last;
        self.socket.send(&json!({ "id": id, "method": method, "params": params }).to_string());
        loop {
            let message = self.next();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
        }
    }

    /// Opens an address and waits until all of it is loaded.
    pub(crate) fn open(&mut self, address: &str) {
        self.call("Page.navigate", &json!({ "url": address }));
        while self.next()["method"] != "Page.loadEventFired" {}
    }

    /// What a JavaScript expression gives; of a promise, what it comes to.
    pub(crate) fn ask(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", &params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true, looking at each frame; fails with the page's text after half a minute.
    pub(crate) fn until(&mut self, condition: &str) {
        let held = self.ask(&format!(
            "new Promise((resolve) => {{
                const end = performance.now() + 30000;
                const look = () => {{
                    if ({condition}) resolve(true);
                    else if (performance.now() > end) resolve(false);
                    else setTimeout(look, 20);
                }};
                look();
            }})"
        ));
        if held != true {
            panic!("never: {condition}\n{}\n{:?}", self.ask("document.body.innerText"), self.complaints);
        }
    }

    /// A click in the middle of the first element that a selector finds.
    pub(crate) fn click(&mut self, selector: &str) {
        let place = self.ask(&format!(
            "(() => {{
                const element = document.querySelector({selector:?});
                element.scrollIntoView({{ block: 'center' }});
                const {{ left, top, width, height }} = element.getBoundingClientRect();
                return [left + width / 2, top + height / 2];
            }})()"
        ));
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// A key, by its name and the number that Windows gave it.
    pub(crate) fn key(&mut self, name: &str, number: u32) {
        let text = if name == "Enter" { "\r" } else { "" };
        let down =
            json!({ "type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": number, "text": text });
        self.call("Input.dispatchKeyEvent", &down);
        let up = json!({ "type": "keyUp", "key": name, "code": name, "windowsVirtualKeyCode": number });
        self.call("Input.dispatchKeyEvent", &up);
    }

    /// The window as wide as a device, in one of the schemes.
    pub(crate) fn look_like(&mut self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// The whole page as a PNG file, if somebody has named a folder for them in `TIERCE_SCREENSHOTS`.
    pub(crate) fn screenshot(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("TIERCE_SCREENSHOTS") else { return };
        // An open dialog stands in the middle of the window, not of the page.
        let whole = self.ask("scrollTo(0, 0), !document.querySelector('dialog[open]')");
        let shot = self.call("Page.captureScreenshot", &json!({ "captureBeyondViewport": whole }));
        let bytes = from_base64(shot["data"].as_str().unwrap());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join(name).with_extension("png"), bytes).unwrap();
    }

    /// How much there is of something: `Nodes`, `JSHeapUsedSize`, …, after the garbage has gone.
    pub(crate) fn metric(&mut self, name: &str) -> f64 {
        self.call("HeapProfiler.collectGarbage", &json!({}));
        let metrics = self.call("Performance.getMetrics", &json!({}));
        let metrics = metrics["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["name"] == name).unwrap()["value"].as_f64().unwrap()
    }

    /// The next message, noted if it is a complaint or the end of a transfer.
    fn next(&mut self) -> Value {
        let message: Value = serde_json::from_str(&self.socket.receive()).unwrap();
        let params = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.complaints.push(params.to_string()),
            "Runtime.consoleAPICalled" if ["error", "warning", "assert"].iter().any(|kind| params["type"] == *kind) => {
                self.complaints.push(params["args"].to_string());
            }
            "Log.entryAdded" if params["entry"]["level"] != "verbose" && params["entry"]["level"] != "info" => {
                self.complaints.push(params["entry"]["text"].to_string());
            }
            "Network.loadingFinished" => self.received.push(params["encodedDataLength"].as_f64().unwrap()),
            _ => {}
        }
        message
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.as_bytes().chunks(4) {
        let digits: Vec<u32> = group
            .iter()
            .filter_map(|digit| DIGITS.iter().position(|known| known == digit))
            .map(|at| at as u32)
            .collect();
        let number = digits.iter().fold(0, |number, digit| number << 6 | digit) << (6 * (4 - digits.len()));
        bytes.extend(&number.to_be_bytes()[1..digits.len()]);
    }
    bytes
}
