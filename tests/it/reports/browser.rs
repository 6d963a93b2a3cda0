//! The page in a browser: headless Chromium, as wide as a desk's and as a phone's screen, light
//! and dark.

use std::fs;
use std::path::Path;

use milvus_difftest::report::output::Format;
use serde_json::Value as Json;

use super::readers::reader;
use super::runs::{clean, full, of};

/// Says how the page came out, with all that can be unfolded open. The contrast is that of
/// [WCAG 2](https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio), of every element with text of its
/// own against the nearest background that is not transparent.
const PROBE: &str = r#"<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach(details => { details.open = true });
  const channels = color => color.match(/[\d.]+/g).map(Number);
  const luminance = color => {
    const [r, g, b] = channels(color).map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opaque = color => { const c = channels(color); return c.length < 4 || c[3] > 0 };
  const background = element => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (opaque(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = [];
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!text || element.tagName === "SCRIPT") continue;
    const [a, b] = [getComputedStyle(element).color, background(element)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className}`);
  }
  const count = selector => document.querySelectorAll(selector).length;
  parent.postMessage({
    width: innerWidth,
    scroll: document.scrollingElement.scrollWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    page: getComputedStyle(document.body).backgroundColor,
    requests: performance.getEntriesByType("resource").map(entry => entry.name),
    foreign: count("img, script, link, iframe, object, b, i") - 1,
    headers: count("th:not([scope])"),
    marks: count("mark"),
    bars: count("svg rect"),
    faint,
  }, "*");
});
</script></body>"#;

/// What the probe says; `None` without a browser.
fn probe(page: &str, width: u32, dark: bool) -> Option<Json> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let policy = page.find("<meta http-equiv").expect("a policy");
    let end = policy + page[policy..].find('>').expect("its end") + 1;
    let probed = [&page[..policy], &page[end..]].concat().replace("</body>", PROBE);
    fs::write(folder.path().join("page.html"), probed).expect("the folder can be written");
    // A window is never as narrow as a phone, but a frame can be.
    let frame = format!(
        "<!DOCTYPE html><body><pre></pre><script>\
         onmessage = event => {{ document.querySelector('pre').textContent = \
         JSON.stringify(event.data) }}</script>\
         <iframe src='page.html' style='width: {width}px; height: 900px; border: 0'></iframe>"
    );
    let outer = folder.path().join("outer.html");
    fs::write(&outer, frame).expect("the folder can be written");
    let dom = browse(&outer, dark, folder.path())?;
    let begin = dom.find("<pre>").expect("the message") + "<pre>".len();
    let end = begin + dom[begin..].find("</pre>").expect("its end");
    let text = dom[begin..end].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {dom}")))
}

/// The page as it is when it has loaded; nothing may have been written to the console.
fn browse(file: &Path, dark: bool, folder: &Path) -> Option<String> {
    let mut command = reader("chromium", "chromium")?;
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"])
        .args(["--enable-logging=stderr", "--window-size=1400,1000", "--virtual-time-budget=4000"])
        .arg(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }))
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", file.display()));
    let output = command.output().expect("the browser runs");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "{console:?}");
    Some(String::from_utf8(output.stdout).expect("the page is UTF-8"))
}

#[test]
fn the_page_fits_a_desk_and_a_phone_by_day_and_by_night() {
    let page = Format::Html.render(&of(&full()), Path::new("/")).expect("it is in memory");
    let mut pages = Vec::new();
    for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
        let Some(seen) = probe(&page, width, dark) else { return };
        assert_eq!(seen["width"], width, "{seen}");
        assert!(seen["scroll"].as_u64() <= Some(u64::from(width)), "{seen}");
        assert_eq!(seen["dark"], dark, "{seen}");
        assert_eq!(seen["requests"], serde_json::json!([]), "{seen}");
        assert_eq!(seen["foreign"], 0, "{seen}");
        assert_eq!(seen["headers"], 0, "{seen}");
        assert_eq!(seen["faint"], serde_json::json!([]), "{seen}");
        assert!(seen["marks"].as_u64() > Some(5) && seen["bars"].as_u64() > Some(20), "{seen}");
        pages.push(seen["page"].clone());
    }
    assert_ne!(pages[0], pages[1], "day and night look the same");
}

/// With the policy that forbids everything, which it must not offend against itself.
#[test]
fn the_page_keeps_to_its_own_policy() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, records) in [("full", full()), ("clean", clean()), ("empty", Vec::new())] {
        let page = Format::Html.render(&of(&records), Path::new("/")).expect("it is in memory");
        for forbidden in ["<script", "<link", "<img", "<iframe", "url(", "@import"] {
            assert!(!page.contains(forbidden), "{name}: {forbidden}");
        }
        let file = folder.path().join(format!("{name}.html"));
        fs::write(&file, &page).expect("the folder can be written");
        let Some(dom) = browse(&file, false, folder.path()) else { return };
        assert!(dom.contains("<h1>milvus-difftest: "), "{dom}");
    }
}
