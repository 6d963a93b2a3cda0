//! The forms, as snapshots and by their schemas.

use std::fs;
use std::path::Path;

use milvus_difftest::engine::simulated::Fault;
use milvus_difftest::report::output::Format;
use milvus_difftest::report::run::End;
use serde_json::Value as Json;

use super::readers::{against_junit, against_sarif};
use super::runs::{clean, ended_early, full, of, vacuous};
use crate::support::{Sandbox, run, simulated};

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

/// From a real run, by the binary: at its end, and later.
#[test]
fn a_run_is_reported_in_any_form() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::DropLastMatch]));
    let mut fuzz = sandbox.fuzz(&engine.uri(), &["--cases", "3"]);
    ALL.iter().for_each(|(_, name)| {
        fuzz.args(["--report", &format!("{name}={name}")]);
    });
    run(fuzz).expect(1);
    let found = sandbox.findings().into_iter().find(|path| path.is_dir()).expect("a finding");
    let folder = found.file_name().expect("a name").to_string_lossy().into_owned();
    for (_, name) in ALL {
        let text = fs::read_to_string(sandbox.path(name)).expect("it was written");
        assert!(text.contains(&folder), "{name}: {text}");
        let printed = run(sandbox.command(&["report", "out", "--format", name])).expect(0);
        assert_eq!((printed.stdout.trim_end(), printed.stderr.as_str()), (text.trim_end(), ""));
    }
    let read = |name: &str| fs::read_to_string(sandbox.path(name)).expect("it was written");
    assert_eq!(against_junit(&read("junit")), None);
    assert_eq!(against_sarif(&read("sarif")), None);
    let sarif: Json = serde_json::from_str(&read("sarif")).expect("JSON");
    let file = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    let uri = file["artifactLocation"]["uri"].as_str().expect("an address");
    assert!(sandbox.path(uri).exists(), "{uri}");
    let args = ["report", "out/events.jsonl", "--format", "jsonl", "--out", "again.jsonl"];
    run(sandbox.command(&args)).expect(0);
    assert_eq!(read("again.jsonl"), read("out/events.jsonl"));
}

/// The line that was being written when a run was killed is left out, and the run is not whole.
#[test]
fn a_run_that_was_killed_is_reported_as_unfinished() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[]));
    run(sandbox.fuzz(&engine.uri(), &["--cases", "2"])).expect(0);
    let journal = fs::read_to_string(sandbox.path("out/events.jsonl")).expect("a journal");
    let cut = journal.len() - 20;
    sandbox.write("cut.jsonl", &journal[..cut]);
    let report = run(sandbox.command(&["report", "cut.jsonl"])).expect(0);
    assert!(report.stderr.contains("was cut off"), "{}", report.stderr);
    assert!(report.stdout.contains("The records stop before the end"), "{}", report.stdout);
    let lines = run(sandbox.command(&["report", "cut.jsonl", "--format", "jsonl"])).expect(0);
    assert_eq!(lines.stdout.trim_end(), journal[..cut].rsplit_once('\n').expect("lines").0);
}

#[test]
fn what_is_no_run_is_said_to_be_none() {
    let sandbox = Sandbox::new();
    sandbox.write("foreign.jsonl", "{\"a\": 1}\n");
    for (args, complaint) in [
        (&["report", "missing"][..], "cannot read missing"),
        (&["report", "."], "cannot read ./events.jsonl"),
        (&["report", "foreign.jsonl"], "foreign.jsonl"),
        (&["report", "foreign.jsonl", "--format", "pdf"], "possible values"),
        (&["fuzz", "--report", "pdf=x"], "with a FORMAT of text, html, junit, sarif, github"),
        (&["fuzz", "--report", "html"], "write it as html=FILE"),
        (&["fuzz", "--report", "html=no/such/folder/x"], "is not a file that can be written"),
    ] {
        let run = run(sandbox.command(args));
        // A file that cannot be read is the disk's affair.
        let run = run.expect(if complaint.starts_with("cannot read") { 3 } else { 2 });
        assert!(run.stderr.contains(complaint), "{args:?}: {}", run.stderr);
    }
}
