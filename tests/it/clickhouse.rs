//! The embedded ClickHouse: it answers nobody without its password, beside DuckDB it judges as a
//! reference, and however the binary ends nothing of it is left.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};

use milvus_difftest::backend::{BackendError, ClickHouse, ClickHouseOptions};
use milvus_difftest::engine::{ClickHouseServer, EmbeddedOptions, Secret, install_clickhouse};

use crate::support::{Running, Sandbox, entries, eventually, run, simulated};

async fn started() -> ClickHouseServer {
    let installation = install_clickhouse(&EmbeddedOptions::default(), &|_| ()).await;
    installation.expect("it installs").start().await.expect("it starts")
}

#[tokio::test]
async fn who_has_no_password_gets_no_answer() {
    let server = started().await;
    let connect = async |user: &str, password: Option<Secret>| {
        ClickHouse::connect(ClickHouseOptions {
            user: Some(user.to_owned()),
            password,
            ..ClickHouseOptions::new(server.url())
        })
        .await
        .map(|_| ())
    };
    for (user, password) in [
        ("default", None),
        ("default", Some(Secret::new("guessed"))),
        ("somebody", Some(server.password().clone())),
    ] {
        let error = connect(user, password).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, BackendError::Open { .. }), "{text}");
        assert!(text.contains("Authentication failed") && !text.contains("guessed"), "{text}");
    }
    connect("default", Some(server.password().clone())).await.expect("the right one opens");
    let password = Some(server.password().clone());
    let nobody_named = ClickHouseOptions { password, ..ClickHouseOptions::new(server.url()) };
    ClickHouse::connect(nobody_named).await.expect("it is the only user");

    let process = Path::new("/proc").join(server.pid().to_string());
    assert!(process.exists());
    server.stop().await;
    assert!(!process.exists());
}

#[tokio::test]
async fn a_missing_server_is_named_with_the_reason() {
    let options = ClickHouseOptions {
        password: Some(Secret::new("hunter2")),
        ..ClickHouseOptions::new("http://127.0.0.1:1")
    };
    let Err(error) = ClickHouse::connect(options).await else { panic!("nothing is there") };
    let error = error.to_string();
    assert!(error.contains("cannot open the ClickHouse database 'http://127.0.0.1:1'"), "{error}");
    assert!(error.contains("refused") && !error.contains("hunter2"), "{error}");
}

#[test]
fn both_databases_judge_and_are_named() {
    let sandbox = Sandbox::new();
    let references = ["--backend", "duckdb", "--backend", "clickhouse:embedded", "--cases", "2"];
    let engine = simulated(&[]);
    let clean = run(sandbox.fuzz(&engine.uri(), &references)).expect(0);
    assert!(clean.stdout.contains("against DuckDB v2.0.0, ClickHouse "), "{}", clean.stdout);
    assert!(sandbox.summary()["backend"].as_str().unwrap().contains(", ClickHouse 26."));

    let engine = simulated(&["null-in-list-is-false".parse().unwrap()]);
    run(sandbox.fuzz(&engine.uri(), &references)).expect(1);
    let readme = |folder: &PathBuf| std::fs::read_to_string(folder.join("README.md")).unwrap();
    let findings: Vec<String> = sandbox.findings().iter().map(readme).collect();
    let names_both = |text: &String| {
        ["`DuckDB v2.0.0, ClickHouse 26.", "-- DuckDB v2.0.0\nSELECT ", "\n\n-- ClickHouse 26."]
            .iter()
            .all(|part| text.contains(part))
    };
    assert!(findings.iter().any(names_both), "{findings:#?}");
    assert_eq!(entries(&sandbox.tmp()), Vec::<PathBuf>::new());
}

#[test]
fn the_model_alone_needs_no_database() {
    let sandbox = Sandbox::new();
    let engine = simulated(&[]);
    let clean = run(sandbox.fuzz(&engine.uri(), &["--backend", "model", "--cases", "2"])).expect(0);
    assert!(clean.stdout.contains("against the model alone, seed 1"), "{}", clean.stdout);
}

#[test]
fn an_unknown_backend_is_wrong_usage_and_its_password_stays_hidden() {
    let sandbox = Sandbox::new();
    for backend in ["postgres://u:hunter2@h", "clickhouse:ftp://u:hunter2@h", "duckdb,model"] {
        let wrong = run(sandbox.fuzz("http://127.0.0.1:1", &["--backend", backend])).expect(2);
        assert!(!wrong.stderr.contains("hunter2"), "{}", wrong.stderr);
    }
}

#[test]
fn a_killed_campaign_leaves_no_server() {
    let sandbox = Sandbox::new();
    let engine = simulated(&[]);
    let backend = ["--backend", "clickhouse:embedded", "--cases", "100000"];
    let mut running = Running::start(sandbox.fuzz(&engine.uri(), &backend));
    running.wait_for("against ClickHouse ");
    assert!(!entries(&sandbox.tmp()).is_empty());
    running.signal("KILL");
    assert!(eventually(|| entries(&sandbox.tmp()).is_empty()), "its folder is left");
}
