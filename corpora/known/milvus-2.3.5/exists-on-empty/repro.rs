//! ExtraRows: `exists dyn_b` returns 1 row too many
//!
//! Found in v2.3.5-lite. Runs among the tests of a crate that depends on
//! milvus-difftest and tokio, on the server at MILVUS_URI, else on an embedded Milvus Lite.

use std::{env, time::Duration};

use milvus_difftest::apply::{Sides, apply};
use milvus_difftest::backend::{Backend, DuckDb};
use milvus_difftest::case::Case;
use milvus_difftest::engine::{EmbeddedOptions, Engine, Secret, install};
use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::verdict::Verdict;

const CASE: &str = r#"{
  "format": "milvus-difftest/case",
  "version": 1,
  "schema": {"fields":[{"name":"id","type":"INT64","primary":true},{"name":"vec","type":"FLOAT_VECTOR(2)"}],"dynamic":true},
  "operations": [{"insert":[{"id":0,"vec":[0.0,0.0],"$meta":{"dyn_b":{}}}]}],
  "checks": [{"query":"exists dyn_b"}]
}"#;

#[tokio::test]
async fn milvus_agrees_with_the_references() -> Result<(), Box<dyn std::error::Error>> {
    let deadline = Duration::from_secs(10);
    let token = env::var("MILVUS_TOKEN").ok().map(Secret::new);
    let mut engine = match env::var("MILVUS_URI") {
        Ok(uri) => Engine::external(uri, token, deadline).await?,
        Err(_) => install(&EmbeddedOptions { kind: "milvus-2.3.5".parse()?, ..Default::default() }, &|_| ()).await?.start().await?,
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
