//! The gate: cases that were kept must come to what they came to, and nothing new may be found.

use std::fs;
use std::path::Path;
use std::process::Command;

use milvus_difftest::engine::simulated::Fault;
use milvus_difftest::filter::Switch;
use serde_json::{Value as Json, json};

use crate::reports::readers::{against_junit, against_sarif};
use crate::support::{Run, Sandbox, run, simulated};

const EXISTS: Fault = Fault::Turned(Switch::ExistsOnEmpty);

/// Two rows, and a filter asked of them.
fn case(sandbox: &Sandbox, folder: &str, filter: &str, found: Option<Json>) {
    let rows = [1, 2].map(|id| json!({"id": id, "j": {"a": {}, "b": null}, "vec": [0, 0]}));
    let mut case = json!({
        "format": "milvus-difftest/case", "version": 1,
        "schema": {"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "j", "type": "JSON"},
            {"name": "vec", "type": "FLOAT_VECTOR(2)"},
        ]},
        "operations": [{"insert": rows}],
        "checks": [{"query": filter}],
    });
    if let Some(found) = found {
        case["found"] = found;
    }
    fs::create_dir_all(sandbox.path(folder)).expect("the folder can be written");
    sandbox.write(&format!("{folder}/case.json"), &case.to_string());
}

fn known(sandbox: &Sandbox, issues: &[(&str, &str, &str)]) {
    let entry = |(title, switch, folder): &(&str, &str, &str)| {
        format!(
            "[[issue]]\ntitle = '{title}'\nlink = ''\nswitch = '{switch}'\n\
             case = '{folder}/case.json'\n"
        )
    };
    let issues: String = issues.iter().map(entry).collect();
    sandbox.write("known.toml", &format!("engine = 'mine'\nversions = []\n{issues}"));
}

fn gate(sandbox: &Sandbox, target: &str, args: &[&str]) -> Command {
    let _ = fs::remove_file(sandbox.path("out/events.jsonl"));
    let mut command = sandbox.command(&["gate", "--target", target, "--seed", "1", "--jobs", "1"]);
    command.args(["--out", "out", "--summary", "summary.json"]).args(args);
    command
}

/// Runs a gate on an engine with these faults.
#[track_caller]
fn gated(sandbox: &Sandbox, faults: &[Fault], args: &[&str], code: i32) -> Run {
    let engine = simulated(faults);
    run(gate(sandbox, &engine.uri(), args)).expect(code)
}

#[test]
fn a_healthy_engine_passes_and_a_broken_regression_does_not() {
    let sandbox = Sandbox::new();
    case(&sandbox, "corpora/regressions/any/less", "id < 2", None);
    let green = gated(&sandbox, &[], &["--cases", "2"], 0);
    assert!(green.stdout.contains("corpus: 1 case, 1 as expected\n"), "{}", green.stdout);
    assert!(green.stdout.contains("2 cases, "), "{}", green.stdout);
    assert_eq!(sandbox.summary()["corpus"]["standings"]["as_expected"], 1);

    let alone = ["--cases", "0"];
    gated(&sandbox, &[], &alone, 0);
    let red = gated(&sandbox, &[Fault::LessThanIncludesEqual], &alone, 1);
    assert!(red.stdout.contains("CHANGED       corpora/regressions/any/less"), "{}", red.stdout);
    assert!(red.stderr.contains("CHANGED       corpora/regressions/any/less"), "{}", red.stderr);

    // What is known does not fail it, wherever the case is.
    known(&sandbox, &[("exists on empty", "exists-on-empty", "elsewhere")]);
    case(&sandbox, "elsewhere", "exists j[\"a\"] and id > 0", None);
    case(&sandbox, "corpora/regressions/any/exists", "exists j[\"a\"]", None);
    let args = ["--cases", "0", "--known", "known.toml"];
    let tolerated = gated(&sandbox, &[EXISTS], &args, 0);
    assert!(tolerated.stdout.contains("3 cases, 3 as expected"), "{}", tolerated.stdout);
    gated(&sandbox, &[EXISTS], &["--cases", "0", "--strict"], 1);
}

#[test]
fn a_known_issue_that_is_fixed_is_said_and_one_that_has_changed_fails() {
    let sandbox = Sandbox::new();
    case(&sandbox, "corpora/known/mine/exists", "exists j[\"a\"]", None);
    known(&sandbox, &[("exists on empty", "exists-on-empty", "corpora/known/mine/exists")]);
    let args = ["--cases", "0", "--known", "known.toml"];
    let same = gated(&sandbox, &[EXISTS], &args, 0);
    assert!(same.stdout.contains("corpus: 1 case, 1 as expected\n"), "{}", same.stdout);

    let fixed = gated(&sandbox, &[], &args, 0);
    let says = "FIXED         corpora/known/mine/exists  known issue \"exists on empty\" can be";
    assert!(fixed.stdout.contains(says), "{}", fixed.stdout);
    let deny = [&args[..], &["--deny-fixed"]].concat();
    gated(&sandbox, &[], &deny, 1);
    gated(&sandbox, &[EXISTS], &deny, 0);
    // Once, and not again at the end of a campaign.
    let campaign = gated(&sandbox, &[], &["--cases", "2", "--known", "known.toml"], 0);
    assert_eq!(campaign.stdout.matches("exists on empty").count(), 1, "{}", campaign.stdout);

    // Still wrong, and not as the issue says.
    let changed = gated(&sandbox, &[EXISTS, Fault::DropLastMatch], &args, 1);
    assert!(changed.stdout.contains("1 changed"), "{}", changed.stdout);
    assert!(changed.stdout.contains("expected to fail as known: exists on empty"));

    // The list's own cases are replayed without a corpus, too.
    let listed = [&args[..], &["--corpus", "tmp", "--allow-empty"]].concat();
    let listed = gated(&sandbox, &[EXISTS, Fault::DropLastMatch], &listed, 1);
    assert!(listed.stdout.contains("CHANGED       known issue: exists on empty"));
}

#[test]
fn an_open_finding_must_fail_as_it_was_found() {
    let sandbox = Sandbox::new();
    let folder = "corpora/findings/exists";
    let filter = "exists j[\"a\"]";
    let found = |class: &str| json!({"engine": "v2.6.0-simulated", "class": class, "title": "T"});
    let args = ["--cases", "0"];
    case(&sandbox, folder, filter, Some(found("ExtraRows")));
    gated(&sandbox, &[EXISTS], &args, 0);
    let fixed = gated(&sandbox, &[], &args, 0);
    assert!(
        fixed
            .stdout
            .contains("FIXED         corpora/findings/exists  T: it passes, and can be moved")
    );

    case(&sandbox, folder, filter, Some(found("MissingRows")));
    let changed = gated(&sandbox, &[EXISTS], &args, 1);
    assert!(changed.stdout.contains("expected to fail as MissingRows"), "{}", changed.stdout);

    // Found on another engine, it is a case like any other.
    for (key, value) in [("engine", json!("v2.3.5")), ("versions", json!(["v2.4", "v2.7"]))] {
        let mut elsewhere = found("ExtraRows");
        elsewhere[key] = value;
        case(&sandbox, folder, filter, Some(elsewhere));
        gated(&sandbox, &[], &args, 0);
        let new = gated(&sandbox, &[EXISTS], &args, 1);
        assert!(new.stdout.contains("expected to be answered rightly"), "{}", new.stdout);
    }

    for (found, says) in [(None, "has no `found`"), (Some(found("Wrong")), "no class 'Wrong'")] {
        case(&sandbox, folder, filter, found);
        let refused = gated(&sandbox, &[], &args, 2);
        assert!(refused.error().contains(says), "{}", refused.stderr);
    }
}

#[test]
fn what_is_found_beside_the_corpus_fails_the_gate() {
    let sandbox = Sandbox::new();
    case(&sandbox, "corpora/equal", "id == 1", None);
    let faults = [Fault::Turned(Switch::NullInListIsFalse)];
    let red = gated(&sandbox, &faults, &["--cases", "10", "--oracle", "reference"], 1);
    assert!(red.stdout.contains("corpus: 1 case, 1 as expected\n"), "{}", red.stdout);
    assert!(!sandbox.findings().is_empty());
}

/// One that is kept, and still fails, is found again by every campaign.
#[test]
fn what_the_corpus_has_as_an_open_finding_is_not_new() {
    let sandbox = Sandbox::new();
    let faults = [Fault::LostDelete];
    let engine = simulated(&faults);
    let mut first = sandbox.command(&["fuzz", "--target", &engine.uri(), "--seed", "1"]);
    first.args(["--jobs", "1", "--cases", "40", "--out", "corpora/findings/mine"]);
    run(first).expect(1);
    let args = ["--cases", "40"];
    let kept = gated(&sandbox, &faults, &args, 0);
    let summary = sandbox.summary();
    assert_eq!(summary["findings"], json!([]), "{}", kept.stdout);
    let known = summary["known"].as_object().expect("an object");
    assert!(known.keys().any(|name| name.starts_with("corpora/findings/mine/")), "{known:?}");

    // On an engine that it is gone from, and that does otherwise, both are said.
    let other = gated(&sandbox, &[Fault::LostInsert], &args, 1);
    assert!(other.stdout.contains("FIXED"), "{}", other.stdout);
}

#[test]
fn what_proves_nothing_is_not_green() {
    let sandbox = Sandbox::new();
    let overflow = "id + 9223372036854775807 > 0";
    case(&sandbox, "corpora/overflow", overflow, None);
    for cases in ["0", "2"] {
        let vacuous = gated(&sandbox, &[], &["--cases", cases], 4);
        assert!(vacuous.stdout.contains("INCONCLUSIVE  corpora/overflow"), "{}", vacuous.stdout);
        assert!(vacuous.error().contains("of no case of the corpus"), "{}", vacuous.stderr);
    }
    case(&sandbox, "corpora/less", "id < 2", None);
    let named = gated(&sandbox, &[], &["--cases", "0"], 0);
    assert!(named.stdout.contains("1 as expected, 1 inconclusive"), "{}", named.stdout);
    // The corpus has taken all of the time.
    let slow = gated(&sandbox, &[], &["--time", "0"], 4);
    assert!(slow.stdout.contains("1 as expected, 1 inconclusive"), "{}", slow.stdout);
    assert!(slow.error().contains("proves nothing beyond the corpus"), "{}", slow.stderr);
}

#[test]
fn a_gate_needs_a_corpus_and_ends_at_once() {
    let sandbox = Sandbox::new();
    for (args, says) in [
        (&[][..], "there is no folder corpora here"),
        (&["--corpus", "tmp"], "there is no case.json in tmp"),
        (&["--corpus", "absent", "--allow-empty"], "absent"),
        (&["--resume", "out"], "`gate` has no --resume"),
        (&["--shard", "1/2", "--allow-empty"], "`gate` has no --shard"),
    ] {
        let refused = run(sandbox.command(&[&["gate"], args].concat())).expect(2);
        assert!(refused.error().contains(says), "{}", refused.stderr);
    }
    gated(&sandbox, &[], &["--allow-empty", "--cases", "2"], 0);
    gated(&sandbox, &[], &["--allow-empty", "--cases", "0"], 4);

    case(&sandbox, "corpora/less", "id < 2", None);
    // A file twice is a case once.
    let twice = gated(&sandbox, &[], &["--cases", "0", "--corpus", "corpora,corpora/less"], 0);
    assert!(twice.stdout.contains("corpus: 1 case, "), "{}", twice.stdout);
    let resumed = run(sandbox.command(&["fuzz", "--resume", "out"])).expect(2);
    assert!(resumed.error().contains("is a run of `gate`"), "{}", resumed.stderr);
    let merged = run(sandbox.command(&["merge", "out", "--out", "whole"])).expect(2);
    assert!(merged.error().contains("is a run of `gate`"), "{}", merged.stderr);
}

#[test]
fn several_engines_have_a_gate_each() {
    let sandbox = Sandbox::new();
    case(&sandbox, "corpora/less", "id < 2", None);
    let (good, bad) = (simulated(&[]), simulated(&[Fault::LessThanIncludesEqual]));
    let both = format!("{},{}", good.uri(), bad.uri());
    let red = run(gate(&sandbox, &both, &["--cases", "0"])).expect(1);
    assert!(red.stdout.contains("corpus: 1 case, 1 as expected\n"), "{}", red.stdout);
    assert!(red.stdout.contains("corpus: 1 case, 0 as expected, 1 changed\n"), "{}", red.stdout);
}

/// The part of a text from one of these to the other.
#[track_caller]
fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let begin = text.find(from).unwrap_or_else(|| panic!("no '{from}' in {text}"));
    let end = text[begin..].find(to).unwrap_or_else(|| panic!("no '{to}' in {text}"));
    &text[begin..begin + end]
}

#[test]
fn every_report_shows_the_corpus() {
    let sandbox = Sandbox::new();
    case(&sandbox, "corpora/known/mine/exists", "exists j[\"a\"]", None);
    case(&sandbox, "corpora/known/mine/null", "exists j[\"b\"]", None);
    let issues = [
        ("exists on empty", "exists-on-empty", "corpora/known/mine/exists"),
        ("exists on <null>", "exists-on-null", "corpora/known/mine/null"),
    ];
    known(&sandbox, &issues);
    let found = json!({
        "engine": "v2.6.0-simulated", "class": "MissingRows", "title": "`=` | *finds* <nothing>",
        "link": "https://example.com/1", "versions": ["v2.6"],
    });
    case(&sandbox, "corpora/findings/equal", "id == 1", Some(found));
    case(&sandbox, "corpora/regressions/less", "id < 2", None);
    case(&sandbox, "corpora/regressions/right", "id > 1", None);
    case(&sandbox, "corpora/open/overflow", "id + 9223372036854775807 > 0", None);
    case(&sandbox, "corpora/open/columns", "id + id == 2", None);
    let mut args = vec!["--cases", "0", "--known", "known.toml", "--dialect", "milvus-2.6"];
    let forms = ["text", "html", "junit", "sarif", "github", "markdown"];
    let reports = forms.map(|form| format!("--report={form}={form}"));
    args.extend(reports.iter().map(String::as_str));
    let faults = [EXISTS, Fault::LessThanIncludesEqual];
    let ran = gated(&sandbox, &faults, &args, 1);
    let read = |form: &str| fs::read_to_string(sandbox.path(form)).expect("it was written");
    assert_eq!(read("text").trim_end(), ran.stdout.trim_end());
    assert_eq!(against_junit(&read("junit")), None);
    assert_eq!(against_sarif(&read("sarif")), None);
    // Later it is the same.
    for form in forms {
        let later = run(sandbox.command(&["report", "out", "--format", form])).expect(0);
        assert_eq!(later.stdout.trim_end(), read(form).trim_end());
    }

    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"127\.0\.0\.1(%3A|:)\d+", "[address]");
    let sarif: Json = serde_json::from_str(&read("sarif")).expect("JSON");
    let results = format!("{:#}", sarif["runs"][0]["results"]);
    let mut summary = sandbox.summary();
    for (form, text) in [
        ("text", ran.stdout.as_str()),
        ("html", part(&read("html"), "<h2>Corpus", "<h2>Checks")),
        ("junit", part(&read("junit"), "<testcase", "<testcase name=\"the run\"")),
        ("sarif", &results),
        ("github", &read("github")),
        ("markdown", part(&read("markdown"), "### Corpus", "\n| Engine")),
        ("summary", &format!("{:#}", summary["corpus"].take())),
    ] {
        settings.bind(|| insta::assert_snapshot!(format!("gate_{form}"), text));
    }

    // The events are what docs/events.md says.
    let journal = fs::read_to_string(sandbox.path("out/events.jsonl")).expect("a journal");
    let events: Vec<Json> =
        journal.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events[0]["run"]["corpus"].as_array().map(Vec::len), Some(7));
    let named = |name: &str| events.iter().filter(|e| e["event"] == name).collect::<Vec<_>>();
    let gate = named("gate");
    assert_eq!(gate.len(), 1);
    assert_eq!((&gate[0]["cases"], &gate[0]["alone"]), (&json!(7), &json!(true)));
    let replayed = named("replayed");
    assert_eq!(replayed.len(), 7);
    let less = replayed.iter().find(|e| e["name"] == "corpora/regressions/less").expect("it");
    assert_eq!(less["standing"], "changed");
    assert_eq!(less["expected"], "right");
    assert_eq!(less["divergence"]["class"], "ExtraRows");
    let exists = replayed.iter().find(|e| e["name"] == "corpora/known/mine/exists").expect("it");
    assert_eq!(exists["expected"], json!({"known": ["exists on empty"]}));
    assert_eq!(exists["known"], json!(["exists on empty"]));
}

/// On a real engine: all of its known issues are what they are said to be, and a campaign that
/// finds nothing else is green.
#[cfg(target_os = "linux")]
#[test]
fn milvus_lite_passes_with_what_is_known_of_it() {
    let sandbox = Sandbox::new();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/known/milvus-lite-3.2.2");
    let mut command = sandbox.command(&["gate", "--jobs", "1", "--seed", "3", "--cases", "2"]);
    command.args(["--oracle", "reference", "--out", "out", "--summary", "summary.json"]);
    for name in [
        "missing-rows-float-cmp-number-dc289c53",
        "missing-rows-varchar-like-escaped-c7fe7858",
        "wrongly-rejected-int-cmp-float-b1cf35c2",
    ] {
        command.arg("--corpus").arg(corpus.join(name));
    }
    let green = run(command).expect(0);
    let corpus = &sandbox.summary()["corpus"];
    let cases = corpus["cases"].as_u64().expect("a number");
    assert!(cases >= 25, "{corpus}");
    assert_eq!(corpus["standings"]["as_expected"].as_u64(), Some(cases), "{}", green.stdout);
    assert!(sandbox.summary()["verdicts"]["pass"].as_u64() > Some(20));
}
