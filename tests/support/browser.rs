//! A real browser without a window: Chromium, told over a pipe what to open, and asked what a person would see.
//!
//! It loads nothing but what it is told to, and leaves nothing behind. Scripts run in it from outside the page, so a
//! page's own policy against scripts stays in force.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ground stops at the first surprise and says so"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

/// How a person looks at a page.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Columns of the window, in CSS pixels.
    pub width: u32,
    /// `light` or `dark`, as the system is set.
    pub scheme: &'static str,
}

/// A running Chromium with one empty tab; it ends when dropped.
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: BufReader<ChildStdout>,
    folder: PathBuf,
    session: String,
    last: u64,
    /// What it told by itself since the last page was opened.
    events: Vec<Value>,
}

impl Browser {
    /// Starts Chromium with a profile of its own.
    pub fn start() -> Browser {
        let folder =
            std::env::temp_dir().join(format!("bento-webhooks-browser-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // The shell moves the two pipes to where Chromium looks for them. As root it runs only without its sandbox.
        // A browser that hangs must not hold a test forever.
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("exec timeout 300 chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1")
            .args(["chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-quic", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync"])
            .args([
                "--no-first-run",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", folder.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut browser = Browser {
            commands: child.stdin.take().unwrap(),
            messages: BufReader::new(child.stdout.take().unwrap()),
            child,
            folder,
            session: String::new(),
            last: 0,
            events: Vec::new(),
        };
        let tab = browser.tell("Target.createTarget", &json!({"url": "about:blank"}));
        let flat = json!({"targetId": tab["targetId"], "flatten": true});
        let session = browser.tell("Target.attachToTarget", &flat);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        browser.tell("Page.enable", &json!({}));
        browser
    }

    /// Opens an address and waits until it has been loaded and drawn.
    pub fn open(&mut self, address: &str, look: Look) {
        let mobile = look.width < 600;
        let size =
            json!({"width": look.width, "height": 800, "deviceScaleFactor": 2, "mobile": mobile});
        self.tell("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!([{"name": "prefers-color-scheme", "value": look.scheme}]);
        self.tell("Emulation.setEmulatedMedia", &json!({"features": scheme}));
        self.events.clear();
        let opened = self.tell("Page.navigate", &json!({"url": address}));
        assert!(opened["errorText"].is_null(), "{address}: {opened}");
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(loaded) {
            let event = self.read();
            self.events.push(event);
        }
    }

    /// The value of a script in the page, which may be a promise.
    pub fn ask(&mut self, script: &str) -> Value {
        let question = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let answer = self.tell("Runtime.evaluate", &question);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Draws the whole page into a PNG file.
    pub fn photograph(&mut self, file: &Path) {
        let whole = json!({"captureBeyondViewport": true});
        let picture = self.tell("Page.captureScreenshot", &whole);
        let picture = picture["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(picture)
            .unwrap();
        fs::write(file, bytes).unwrap();
    }

    /// Gives a command and waits for its result.
    fn tell(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": parameters});
        if !self.session.is_empty() {
            command["sessionId"] = self.session.clone().into();
        }
        self.commands
            .write_all(format!("{command}\0").as_bytes())
            .unwrap();
        loop {
            let message = self.read();
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn read(&mut self) -> Value {
        let mut message = Vec::new();
        self.messages.read_until(0, &mut message).unwrap();
        assert_eq!(
            message.pop(),
            Some(0),
            "Chromium has ended; is it installed?"
        );
        serde_json::from_slice(&message).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(
            self.commands
                .write_all(format!("{}\0", json!({"id": 0, "method": "Browser.close"})).as_bytes()),
        );
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}
