//! `repro.rs`: a test that uses this crate.

use super::literal::is_legible;
use super::markdown::shortened;
use super::title::title;
use crate::engine::EngineKind;
use crate::finding::Finding;

const USAGE: &str = "Runs among the tests of a crate that depends on
//! milvus-difftest and tokio, on the server at MILVUS_URI, else on an embedded Milvus Lite.
";

const TEST: &str = r##"
use std::{env, time::Duration};

use milvus_difftest::apply::{Sides, apply};
use milvus_difftest::backend::{Backend, DuckDb};
use milvus_difftest::case::Case;
use milvus_difftest::engine::{EmbeddedOptions, Engine, Secret, install};
use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::verdict::Verdict;

const CASE: &str = r#"@CASE@"#;

#[tokio::test]
async fn milvus_agrees_with_the_references() -> Result<(), Box<dyn std::error::Error>> {
    let deadline = Duration::from_secs(10);
    let token = env::var("MILVUS_TOKEN").ok().map(Secret::new);
    let mut engine = match env::var("MILVUS_URI") {
        Ok(uri) => Engine::external(uri, token, deadline).await?,
        Err(_) => install(&EmbeddedOptions::default(), &|_| ()).await?.start().await?,
    };
    let token = engine.token().map(|token| token.expose().to_owned());
    let options = ConnectOptions { uri: engine.uri().to_owned(), token, deadline };
    let milvus = Milvus::connect(&options).await?;
    let mut backends: [Box<dyn Backend>; 1] = [Box::new(DuckDb::in_memory()?)];
    let mut sides = Sides {
        milvus: &milvus,
        backends: &mut backends,
        query_deadline: deadline,
        engine: Some(&mut engine),
    };
    let (case, _) = Case::from_json(CASE)?;
    let collection = format!("repro_{}", std::process::id());
    let mut applied = apply(&case, &collection, &mut sides).await?;
    let refused = applied.is_refused();
    let mut verdicts = applied.asked().to_vec();
    for check in &case.checks {
        verdicts.push(applied.judge(check).await?);
    }
    applied.close().await?;
    engine.stop().await;
    assert!(!refused, "a write was refused");
    assert!(verdicts.iter().all(|v| matches!(v, Verdict::Pass { .. })), "{verdicts:#?}");
    Ok(())
}
"##;

/// The file. It passes where the bug is not present.
pub(super) fn test(finding: &Finding) -> String {
    let case = compact(&finding.case.to_json(None));
    // A raw string ends at a quote with as many hashes as it began with.
    let mut hashes = "#".to_owned();
    while case.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    let test = TEST
        .replace("r#\"@", &format!("r{hashes}\"@"))
        .replace("@\"#", &format!("@\"{hashes}"))
        .replace("@CASE@", &case);
    let test = match EngineKind::of_version(&finding.engine) {
        Some(kind) if kind != EngineKind::default() => test.replace(
            "&EmbeddedOptions::default()",
            &format!("&EmbeddedOptions {{ kind: \"{kind}\".parse()?, ..Default::default() }}"),
        ),
        _ => test,
    };
    format!(
        "//! {}\n//!\n//! Found in {}. {USAGE}{test}",
        shortened(&title(finding), 90),
        finding.engine
    )
}

/// A case with one line for each of its parts.
fn compact(case: &str) -> String {
    let Ok(serde_json::Value::Object(parts)) = serde_json::from_str(case) else {
        return case.to_owned();
    };
    let lines: Vec<String> = parts
        .iter()
        .map(|(name, part)| format!("  {}: {part}", serde_json::Value::from(name.as_str())))
        .collect();
    let mut text = String::new();
    for c in format!("{{\n{}\n}}", lines.join(",\n")).chars() {
        if c.is_ascii() || is_legible(c) {
            text.push(c);
        } else {
            // rustc and Clippy refuse invisible characters. These stand inside of JSON strings.
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}
