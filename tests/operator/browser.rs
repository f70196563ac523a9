//! A headless Chromium, driven by the web driver protocol of W3C: plain HTTP with JSON bodies.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bound::until;
use crate::support::free_address;
use crate::support::http::{get, send};
use crate::support::process::{Daemon, Part};

const DRIVER: Part = Part {
    program: "chromedriver",
    package: "chromium-driver",
};
const CHROMIUM: Part = Part {
    program: "chromium",
    package: "chromium",
};
const PATIENCE: Duration = Duration::from_mins(1);

/// One window.
pub(crate) struct Browser {
    driver: SocketAddr,
    session: String,
    _daemon: Daemon,
    _folder: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let driver = free_address();
        let mut command = DRIVER.command();
        command.arg(format!("--port={}", driver.port()));
        let mut daemon = Daemon::start("chromedriver", command, &folder.path().join("log"));
        until("chromedriver listens", PATIENCE, async || {
            assert_eq!(daemon.ended(), None, "chromedriver ended: {}", daemon.log());
            tokio::net::TcpStream::connect(driver).await.is_ok()
                && get(driver, "/status").await.status() == 200
        })
        .await;
        let profile = format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        );
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            &profile,
        ];
        let chromium = CHROMIUM.command();
        let chromium = chromium.get_program().to_string_lossy().into_owned();
        let options = json!({"binary": chromium, "args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let mut browser = Self {
            driver,
            session: String::new(),
            _daemon: daemon,
            _folder: folder,
        };
        let made = browser.post("/session", &wanted).await;
        let id = made["sessionId"].as_str().unwrap();
        browser.session = format!("/session/{id}");
        browser
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let target = format!("{}{path}", self.session);
        let fields = [("Content-Type", "application/json")];
        let body = body.to_string();
        let answer = send(self.driver, "POST", &target, &fields, body.as_bytes()).await;
        let answer = answer.whole().await;
        assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
        let mut told: Value = serde_json::from_slice(&answer.body).unwrap();
        told["value"].take()
    }

    /// Goes to a page and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url})).await;
    }

    /// Runs a script in the page: what it returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
            .await
    }

    /// Waits until a script returns true.
    pub(crate) async fn sees(&self, script: &str) {
        let asked = format!("return Boolean({script})");
        until(script, PATIENCE, async || self.run(&asked).await == true).await;
    }

    /// Clicks what a CSS selector finds, as a user does.
    pub(crate) async fn click(&self, selector: &str) {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.post("/element", &wanted).await;
        let (_, id) = found.as_object().unwrap().iter().next().unwrap();
        self.post(
            &format!("/element/{}/click", id.as_str().unwrap()),
            &json!({}),
        )
        .await;
    }

    /// Types into what has the focus.
    pub(crate) async fn key(&self, key: &str) {
        let actions = json!([
            {"type": "keyDown", "value": key},
            {"type": "keyUp", "value": key},
        ]);
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]});
        self.post("/actions", &actions).await;
    }

    /// Shows the page in a scheme of colours, so many pixels wide.
    pub(crate) async fn shows_as(&self, scheme: &str, width: u32) {
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &media).await;
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size)
            .await;
    }

    async fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.post("/goog/cdp/execute", &body).await
    }

    /// Keeps what the page looks like as a file among those of this build.
    pub(crate) async fn keep_picture(&self, name: &str) {
        let whole = json!({"captureBeyondViewport": true});
        let picture = self.devtools("Page.captureScreenshot", &whole).await;
        let picture = base64::engine::general_purpose::STANDARD
            .decode(picture["data"].as_str().unwrap())
            .unwrap();
        let file = format!("{}/page-{name}.png", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&file, picture).unwrap();
        println!("{file}");
    }

    /// What the page complained of.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let told = self.post("/se/log", &json!({"type": "browser"})).await;
        let told = told.as_array().unwrap().iter();
        told.map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        let answer = send(self.driver, "DELETE", &self.session, &[], b"").await;
        answer.whole().await;
    }
}
