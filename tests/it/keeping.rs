//! `engines`: listing, starting, removing and examining, without Docker. With it:
//! `containers.rs`.
#![cfg(target_os = "linux")]

use std::fs;

use milvus_difftest::engine::{EmbeddedOptions, EngineKind, install};

use crate::support::{Running, Sandbox, run};

#[tokio::test]
async fn an_embedded_engine_runs_until_it_is_stopped() {
    let kind = EngineKind::MilvusLite2;
    let options = EmbeddedOptions { kind, ..EmbeddedOptions::default() };
    install(&options, &|_| ()).await.expect("the engine installs");
    let sandbox = Sandbox::new();

    let mut foreground = Running::start(sandbox.command(&["engines", "start", &kind.name()]));
    foreground.wait_for_output("http://127.0.0.1:");
    let uri = foreground.stdout().trim().to_owned();
    let list = run(sandbox.command(&["engines", "list"])).expect(0).stdout;
    assert!(list.contains(&format!("running: {kind} at {uri}")), "{list}");
    let checked = run(sandbox.fuzz(&uri, &["--cases", "1", "--shrink-time", "1s"]));
    assert!(matches!(checked.code, Some(0 | 1)), "{}", checked.stderr);
    let refused = run(sandbox.command(&["engines", "remove", &kind.name()])).expect(2);
    assert!(refused.stderr.contains("first"), "{}", refused.stderr);
    run(sandbox.command(&["engines", "stop", &uri])).expect(0);
    foreground.finish().expect(0);
    let list = run(sandbox.command(&["engines", "list"])).expect(0).stdout;
    assert!(!list.contains(&uri), "{list}");
}

#[test]
fn what_is_removed_is_no_longer_listed() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("cache").join("milvus-2.3.5-0123456789ab");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("installed"), "x").expect("a file");
    let engines = |args: &[&str]| {
        let mut command = sandbox.command(&["engines"]);
        command.args(args).env("MILVUS_DIFFTEST_CACHE", sandbox.path("cache"));
        command.env("DOCKER_HOST", "unix:///no/docker.sock");
        run(command).expect(0).stdout
    };
    let path = folder.display().to_string();
    assert!(engines(&["list"]).contains(&path));
    assert!(engines(&["remove", "milvus-2.3.5"]).contains(&format!("removed {path}")));
    assert!(!folder.exists());
    let list = engines(&["list"]);
    assert!(!list.contains(&path) && list.contains("not installed"), "{list}");
    assert!(engines(&["remove", "milvus-2.3.5"]).contains("was not installed"));
    assert_eq!(engines(&["stop"]), "");
}

#[test]
fn the_doctor_says_what_is_lacking_and_what_to_do() {
    let sandbox = Sandbox::new();
    let cache = sandbox.path("cache").display().to_string();
    let doctor = |python: &str| {
        let args = ["engines", "doctor", "--cache", &cache, "--python", python];
        let mut command = sandbox.command(&args);
        command.env("DOCKER_HOST", "unix:///no/docker.sock");
        command
    };
    let well = run(doctor("python3")).expect(0).stdout;
    assert!(well.contains("ok       Python"), "{well}");
    assert!(well.contains("lacking  Docker"), "{well}");
    assert!(well.contains("start its daemon"), "{well}");
    let ill = run(doctor("/no/python")).expect(3);
    assert!(ill.stdout.contains("lacking  Python"), "{}", ill.stdout);
    assert!(ill.stdout.contains("apt install python3-venv"), "{}", ill.stdout);
    assert!(ill.error().contains("no engine can be started here"), "{}", ill.stderr);
}
