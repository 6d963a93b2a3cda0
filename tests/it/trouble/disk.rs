//! Folders and files that cannot be written, found out before anything is started. That a disk is full
//! in mid-campaign is a test of `journal`.

use std::path::PathBuf;

use crate::support::{Sandbox, entries, run};

/// Not even root can make a file there.
const CLOSED: &str = "/proc/self";

#[test]
fn what_cannot_be_written_is_named_before_an_engine_is_started() {
    let file = |name: &str| format!("{CLOSED}/{name}");
    let report = format!("html={}", file("report.html"));
    let (journal, summary, events) = (file("events.jsonl"), file("s.json"), file("e.jsonl"));
    let (page, inside) = (file("report.html"), file("out"));
    for (args, names) in [
        (["--out", CLOSED], &journal),
        (["--out", &inside], &inside),
        (["--summary", &summary], &summary),
        (["--events", &events], &events),
        (["--report", &report], &page),
    ] {
        let sandbox = Sandbox::new();
        // Were it started, it would be installed first, into a cache that is none.
        let mut command = sandbox.command(&["fuzz", "--cases", "1", "--cache", CLOSED]);
        command.args(args);
        let refused = run(command).expect(3);
        assert!(refused.error().contains(&**names), "{args:?}: {}", refused.stderr);
        assert!(!refused.stderr.contains("install"), "{args:?}: {}", refused.stderr);
        assert_eq!(refused.stdout, "");
        assert_eq!(entries(&sandbox.tmp()), Vec::<PathBuf>::new(), "{args:?}");
        assert!(!sandbox.path("runs").exists(), "{args:?}");
    }
}

/// Trying whether a file can be written changes nothing.
#[test]
fn files_are_left_alone_by_a_run_that_does_not_begin() {
    let sandbox = Sandbox::new();
    let kept = sandbox.write("summary.json", "kept");
    let refused = ["fuzz", "--cases", "1", "--summary", "summary.json", "--events", "new.jsonl"];
    let mut command = sandbox.command(&refused);
    command.args(["--out", CLOSED]);
    run(command).expect(3);
    assert_eq!(std::fs::read_to_string(kept).expect("it is there"), "kept");
    assert!(!sandbox.path("new.jsonl").exists());
}
