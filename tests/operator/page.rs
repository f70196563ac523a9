//! The status page in a real browser.

use std::time::Duration;

use crate::browser::Browser;
use crate::support::bound::until;
use crate::support::http::send;
use crate::support::mirror::{Plan, sum};
use crate::support::noise;
use crate::support::registry::Access;
use crate::support::upstream::Upstream;
use crate::traffic::{NOTHING_AHEAD, pulls};

/// The least contrast between text and what is behind it, over all text on the page, and that text (WCAG 2.1, 1.4.3).
const LEAST_CONTRAST: &str = r#"
const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
let least = [99, ""];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || element.closest(".skip") || !element.checkVisibility()) continue;
  let behind = element;
  while (behind && (parts(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map((c) => light(parts(c)));
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < least[0]) least = [contrast, element.textContent.trim()];
}
return least;
"#;

/// Whatever can be used without a name that is read out.
const NAMELESS: &str = r#"
const named = (it) => it.labels?.length || it.getAttribute("aria-label") || it.getAttribute("aria-labelledby") || it.textContent.trim();
return [...document.querySelectorAll("a, button, input, progress, meter, [role=region]")].filter((it) => !named(it) && it.id !== "sure-yes").map((it) => it.outerHTML);
"#;

async fn looks_right(browser: &Browser) {
    for (scheme, width) in [
        ("light", 1200),
        ("dark", 1200),
        ("light", 400),
        ("dark", 400),
    ] {
        browser.shows_as(scheme, width).await;
        let wide = browser
            .run("return document.documentElement.scrollWidth")
            .await;
        assert!(
            wide.as_u64().unwrap() <= u64::from(width),
            "{wide} of {width}"
        );
        let contrast = browser.run(LEAST_CONTRAST).await;
        assert!(contrast[0].as_f64().unwrap() >= 4.5, "{scheme}: {contrast}");
        browser.keep_picture(&format!("{scheme}-{width}")).await;
    }
    browser.shows_as("light", 1200).await;
    assert_eq!(browser.run(NAMELESS).await, serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_a_download_move_and_does_what_its_user_is_sure_of() {
    let upstream = Upstream::start(Access::Open).await;
    let mirror = Plan::of(&upstream.tap)
        .with_upstream(NOTHING_AHEAD)
        .start()
        .await;
    pulls(&upstream, &mirror, 1).await;
    let bytes = noise(7, 256 * 1024 * 1024);
    let digest = upstream.registry.push_blob("library/image-1", &bytes).await;
    let browser = Browser::start().await;

    upstream.tap.throttle(Some(1024 * 1024));
    let target = format!("/v2/library/image-1/blobs/{digest}");
    let download = send(mirror.address, "GET", &target, &[], b"").await;
    let page = format!("http://{}/", mirror.admin);
    browser.open(&page).await;
    // It was there before any script ran, and moves without a reload.
    browser
        .sees("document.documentElement.classList.contains('live')")
        .await;
    let bar = format!("document.querySelector('[data-digest=\"{digest}\"] progress')");
    let first = browser
        .run(&format!("return {bar}.value / {bar}.max"))
        .await
        .as_f64()
        .unwrap();
    assert!(first < 0.5, "{first}");
    browser
        .sees(&format!("{bar}.value / {bar}.max > {first}"))
        .await;
    browser.sees("document.querySelector('#history svg')").await;
    looks_right(&browser).await;
    upstream.tap.throttle(None);
    drop(download);
    browser
        .sees("!document.querySelector('#no-fills').hidden")
        .await;

    // A button as the list of tags has it: nothing happens until its user is sure.
    let pulled = || async {
        let counted = async || {
            let page = mirror.metrics().await;
            ["miss", "hit"].map(|outcome| {
                let labels = [("kind", "manifest"), ("outcome", outcome)];
                sum(&page, "roadstead_requests_total", &labels)
            })
        };
        let [missed, hit] = counted().await;
        let answer = mirror.get("/v2/library/image-1/manifests/one").await;
        assert_eq!(answer.status(), 200);
        let mut now = [missed, hit];
        until("the pull is counted", Duration::from_secs(20), async || {
            now = counted().await;
            now[0] + now[1] > missed + hit + 0.5
        })
        .await;
        now[0] > missed + 0.5
    };
    assert!(!pulled().await, "it is here");
    let button = "const button = document.createElement('button'); button.id = 'try'; button.textContent = 'Purge'; \
         button.dataset.post = '/api/v1/purge?reference=library/image-1:one'; button.dataset.verb = 'Purge'; \
         button.dataset.what = 'library/image-1:one'; document.querySelector('main').prepend(button);";
    browser.run(button).await;
    browser.click("#try").await;
    browser.sees("document.querySelector('#sure').open").await;
    // Escape.
    browser.key("\u{e00c}").await;
    browser.sees("!document.querySelector('#sure').open").await;
    assert!(!pulled().await, "nobody was sure");
    browser.click("#try").await;
    browser.click("#sure-yes").await;
    browser
        .sees("document.querySelector('#told').textContent.includes('\"records\":1')")
        .await;
    assert!(pulled().await, "it was purged");

    let complaints = browser.complaints().await;
    let own = complaints.iter().filter(|line| !line.contains("favicon"));
    assert_eq!(own.collect::<Vec<_>>(), [] as [&String; 0]);
    browser.close().await;
}
