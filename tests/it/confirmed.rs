//! What the corpora keep of the embedded engines is confirmed by its scripts, with pymilvus alone,
//! each on a fresh engine.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use milvus_difftest::engine::{EmbeddedOptions, EngineKind, install};

use crate::support::{entries, run};

async fn confirm(engine: &str) {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora");
    // The default engine is installed with pymilvus.
    let options = EmbeddedOptions::default();
    let python = install(&options, &|_| ()).await.expect("the engine installs").python();
    let kind: EngineKind = engine.parse().expect("an embedded engine");
    let options = EmbeddedOptions { kind, ..options };
    let installation = install(&options, &|_| ()).await.expect("the engine installs");
    let mut folders = entries(&corpora.join("known").join(engine));
    folders.extend(entries(&corpora.join("findings").join(engine)));
    assert!(folders.len() > 10, "{folders:?}");
    let mut unconfirmed = Vec::new();
    for folder in folders {
        let server = installation.start().await.expect("the engine starts");
        let mut script = Command::new(&python);
        script.arg(folder.join("repro.py")).env("MILVUS_URI", server.uri());
        let ended = tokio::task::spawn_blocking(move || run(script)).await.expect("no panic");
        if ended.code != Some(0) {
            unconfirmed.push(format!("{}: {}{}", folder.display(), ended.stdout, ended.stderr));
        }
        server.stop().await;
    }
    assert!(unconfirmed.is_empty(), "{}", unconfirmed.join("\n"));
}

#[tokio::test]
async fn scripts_confirm_what_is_kept_of_milvus_lite_3() {
    confirm("milvus-lite-3.2.2").await;
}

#[tokio::test]
async fn scripts_confirm_what_is_kept_of_milvus_lite_2() {
    confirm("milvus-lite-2.5.1").await;
}

#[tokio::test]
async fn scripts_confirm_what_is_kept_of_milvus() {
    confirm("milvus-2.3.5").await;
}
