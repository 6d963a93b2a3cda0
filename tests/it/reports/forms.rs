//! The forms, as snapshots and by their schemas.

use std::fs;
use std::path::Path;

use milvus_difftest::engine::simulated::Fault;
use milvus_difftest::report::output::Format;
use milvus_difftest::report::run::End;
use serde_json::Value as Json;

use super::readers::{against_junit, against_sarif};
use super::runs::{clean, ended_early, full, of, vacuous};
use crate::support::{Sandbox, entries, run, simulated};

const ALL: [(Format, &str); 6] = [
    (Format::Text, "text"),
    (Format::Html, "html"),
    (Format::Junit, "junit"),
    (Format::Sarif, "sarif"),
    (Format::Github, "github"),
    (Format::Markdown, "markdown"),
];

fn render(format: Format, records: &[milvus_difftest::report::events::Record]) -> String {
    format.render(&of(records), Path::new("/checkout")).expect("it is written into memory")
}

#[test]
fn every_form_of_a_run() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(&regex_of(env!("CARGO_PKG_VERSION")), "[version]");
    for (format, name) in ALL {
        let text = render(format, &full());
        settings.bind(|| insta::assert_snapshot!(format!("report_{name}"), text));
    }
}

fn regex_of(text: &str) -> String {
    text.replace('.', "\\.")
}

#[test]
fn junit_and_sarif_fit_their_schemas() {
    let mut runs = vec![Vec::new(), full(), clean(), vacuous()];
    runs.extend(ended_early());
    for records in &runs {
        assert_eq!(against_junit(&render(Format::Junit, records)), None);
        assert_eq!(against_sarif(&render(Format::Sarif, records)), None);
    }
}

/// Else the test above could not fail.
#[test]
fn the_readers_refuse_what_does_not_fit() {
    use super::readers::reader;
    if reader("xmllint", "libxml2-utils").is_some() {
        let junit = render(Format::Junit, &full());
        for broken in [
            junit.replace("tests=", "test="),
            junit.replace("testcase", "test"),
            junit.replacen("</failure>", "", 1),
        ] {
            assert!(against_junit(&broken).is_some(), "{broken}");
        }
    }
    if reader("jsonschema", "python3-jsonschema").is_some() {
        let sarif = render(Format::Sarif, &full());
        for broken in [
            sarif.replace("\"ruleId\"", "\"rule\""),
            sarif.replace("\"error\"", "\"bad\""),
            sarif.replace("\"2.1.0\"", "\"2.2\""),
        ] {
            assert!(against_sarif(&broken).is_some(), "{broken}");
        }
    }
}

/// What was not checked is not reported as passed, and what ended early not as whole.
#[test]
fn nothing_is_green_that_proves_nothing() {
    let ends = ended_early().map(|records| of(&records).end());
    assert_eq!(ends, [End::Interrupted, End::Failed, End::Unfinished]);
    assert_eq!(of(&clean()).end(), End::Clean);
    assert_eq!((of(&vacuous()).end(), of(&[]).end()), (End::Vacuous, End::Vacuous));
    let [interrupted, failed, unfinished] = ended_early();
    for records in [vacuous(), interrupted, failed, unfinished] {
        let junit = render(Format::Junit, &records);
        assert!(junit.contains("errors=\"1\""), "{junit}");
        assert!(!render(Format::Html, &records).contains("verdict good"));
        let github = render(Format::Github, &records);
        assert!(github.starts_with("::error") || github.starts_with("::warning"), "{github}");
        let sarif: Json = serde_json::from_str(&render(Format::Sarif, &records)).expect("JSON");
        assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], false);
    }
    let junit = render(Format::Junit, &vacuous());
    assert!(junit.contains("failures=\"0\"") && junit.contains("skipped=\"2\""), "{junit}");
    assert!(junit.contains("9 inconclusive: integer arithmetic overflows"), "{junit}");
    assert!(junit.contains("2 unsupported by the engine"), "{junit}");
    let junit = render(Format::Junit, &clean());
    assert!(junit.contains("failures=\"0\" errors=\"0\" skipped=\"0\""), "{junit}");
    assert!(render(Format::Html, &clean()).contains("verdict good"));
}

/// GitHub reads a line as a command; whatever a server says stays within one.
#[test]
fn annotations_are_a_line_each() {
    let text = render(Format::Github, &full());
    assert!(text.lines().all(|line| line.starts_with("::")), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("::error file=")).count(), 3, "{text}");
    assert!(text.contains("%2525 0A") || text.contains("%250A"), "{text}");
}

/// From a real run, by the binary.
#[test]
fn a_run_is_reported_later_in_any_form() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::DropLastMatch]));
    run(sandbox.fuzz(&engine.uri(), &["--cases", "3", "--events", "events.jsonl"])).expect(1);
    let found = entries(&sandbox.path("out"));
    assert!(!found.is_empty());
    for (_, name) in ALL {
        let report = ["report", "events.jsonl", "--format", name, "--out", name];
        let report = run(sandbox.command(&report)).expect(0);
        assert_eq!((report.stdout.as_str(), report.stderr.as_str()), ("", ""), "{name}");
        let text = fs::read_to_string(sandbox.path(name)).expect("it was written");
        let folder = found[0].file_name().expect("a name").to_string_lossy().into_owned();
        assert!(text.contains(&folder), "{name}: {text}");
        let printed = run(sandbox.command(&["report", "events.jsonl", "--format", name])).expect(0);
        assert_eq!(printed.stdout.trim_end(), text.trim_end(), "{name}");
    }
    assert_eq!(against_junit(&fs::read_to_string(sandbox.path("junit")).expect("it")), None);
    assert_eq!(against_sarif(&fs::read_to_string(sandbox.path("sarif")).expect("it")), None);
    let sarif: Json =
        serde_json::from_str(&fs::read_to_string(sandbox.path("sarif")).expect("it")).expect("it");
    let file = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    let uri = file["artifactLocation"]["uri"].as_str().expect("an address");
    assert!(sandbox.path(uri).exists(), "{uri}");
    // The same as at the end of the run, but for what only that knows.
    let events = run(sandbox.command(&["report", "events.jsonl", "--format", "jsonl"])).expect(0);
    assert_eq!(events.stdout, fs::read_to_string(sandbox.path("events.jsonl")).expect("it"));
}

#[test]
fn what_is_no_run_is_said_to_be_none() {
    let sandbox = Sandbox::new();
    sandbox.write("foreign.jsonl", "{\"a\": 1}\n");
    for (args, complaint) in [
        (&["report", "missing"][..], "cannot read missing"),
        (&["report", "."], "events.jsonl"),
        (&["report", "foreign.jsonl"], "foreign.jsonl"),
        (&["report", "foreign.jsonl", "--format", "pdf"], "possible values"),
    ] {
        let run = run(sandbox.command(args)).expect(2);
        assert!(run.stderr.contains(complaint), "{args:?}: {}", run.stderr);
    }
}
