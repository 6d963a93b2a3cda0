//! SARIF 2.1.0, as code scanning reads it: a run for each engine, a rule for each class of
//! divergence, a result for each finding.

use std::path::Path;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::finding::{plain, title};
use super::gate;
use super::run::{End, Run, Side};
use crate::campaign::{Replayed, Standing};
use crate::finding::Finding;
use crate::verdict::Class;

/// The rules, and what each of them means.
const RULES: [(Class, &str); 10] = [
    (Class::MissingRows, "Rows that match the filter are not returned."),
    (Class::ExtraRows, "Rows that do not match the filter are returned, or rows are repeated."),
    (Class::WrongValue, "A value comes back other than it was written."),
    (Class::WrongCount, "A count, or the number of rows on a page, is off."),
    (Class::WronglyRejected, "A valid filter or write is refused."),
    (Class::WronglyAccepted, "An invalid filter is accepted."),
    (Class::Crash, "The engine dies."),
    (Class::Hang, "The engine does not answer in time."),
    (Class::SelfInconsistent, "Two ways of asking the same engine disagree."),
    (
        Class::ReferenceConflict,
        "The references disagree with each other: a defect of milvus-difftest and not of Milvus.",
    ),
];

/// The document. Paths are given relative to `folder`, the root of the checkout, where they are
/// within it.
pub fn sarif(run: &Run, folder: &Path) -> String {
    let runs: Vec<Json> = run.sides.iter().map(|side| on_engine(side, folder)).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": runs,
    });
    format!("{document:#}\n")
}

fn on_engine(side: &Side, folder: &Path) -> Json {
    let summary = &side.summary;
    let rules = RULES.map(|(class, meaning)| {
        json!({
            "id": class.to_string(),
            "shortDescription": {"text": meaning},
            "defaultConfiguration": {"level": "error"},
        })
    });
    let findings = summary.findings.iter().map(|finding| result(side, finding, folder));
    let corpus = summary.corpus.iter().flat_map(|corpus| &corpus.replayed);
    let changed = corpus.filter_map(|replayed| changed(replayed, folder));
    let results: Vec<Json> = findings.chain(changed).collect();
    let end = side.end();
    let whole = matches!(end, End::Clean | End::Findings);
    let level = if whole { "note" } else { "error" };
    json!({
        "tool": {"driver": {
            "name": "milvus-difftest",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "informationUri": env!("CARGO_PKG_REPOSITORY"),
            "rules": rules,
        }},
        // Runs on several engines are told apart by it.
        "automationDetails": {"id": format!("milvus-difftest/{}/", side.target)},
        "invocations": [{
            "executionSuccessful": whole,
            "toolExecutionNotifications": [
                {"level": level, "message": {"text": side.sentence()}},
            ],
        }],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {
            "engine": summary.engine,
            "references": summary.backend,
            "dialect": summary.dialect,
            "seed": summary.seed.to_string(),
            "checks": summary.verdicts.total(),
        },
    })
}

fn result(side: &Side, finding: &Finding, folder: &Path) -> Json {
    let divergence = &finding.divergence;
    let filter = finding.filter_text();
    let asked = if filter.is_empty() { String::new() } else { format!("\nfilter: {filter}") };
    let (expected, actual) = (divergence.expected.to_string(), divergence.actual.to_string());
    let mut result = json!({
        "ruleId": divergence.class.to_string(),
        "level": "error",
        "message": {
            "text": format!("{}{asked}\nexpected: {expected}\nactual: {actual}", plain(finding)),
            "markdown": title(finding),
        },
        "partialFingerprints": {"shape/v1": fingerprint(&finding.shape)},
        "occurrenceCount": finding.count.max(1),
        "properties": {
            "oracle": finding.oracle,
            "shape": finding.shape,
            "filter": filter,
            "expected": expected,
            "actual": actual,
            "engine": finding.engine,
            "seed": finding.seed.map(|seed| seed.to_string()),
            "case": finding.number,
        },
    });
    place(&mut result, divergence.class, side.case_file(finding).as_deref(), folder);
    result
}

/// A case of a corpus that is answered otherwise than it was; `None` of others.
fn changed(replayed: &Replayed, folder: &Path) -> Option<Json> {
    let wrong = matches!(replayed.standing, Standing::Changed | Standing::Conflict);
    let divergence = replayed.divergence.as_ref().filter(|_| wrong)?;
    let text = format!("{}: {}", replayed.standing.word(), gate::sentence(replayed));
    let mut result = json!({
        "ruleId": divergence.class.to_string(),
        "level": "error",
        "message": {"text": text},
        "partialFingerprints": {"case/v1": fingerprint(&replayed.name)},
        "properties": {
            "expected": divergence.expected.to_string(),
            "actual": divergence.actual.to_string(),
        },
    });
    place(&mut result, divergence.class, replayed.file.as_deref(), folder);
    Some(result)
}

/// Says by which rule a result is, and where its case is.
fn place(result: &mut Json, class: Class, file: Option<&Path>, folder: &Path) {
    if let Some(index) = RULES.iter().position(|(rule, _)| *rule == class) {
        result["ruleIndex"] = json!(index);
    }
    if let Some(uri) = file.and_then(|file| uri(file, folder)) {
        result["locations"] = json!([{"physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": 1},
        }}]);
    }
}

fn fingerprint(shape: &str) -> String {
    Sha256::digest(shape.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Relative where it can be: code scanning knows files by their paths in the repository.
fn uri(file: &Path, folder: &Path) -> Option<String> {
    let inside = file.strip_prefix(folder).unwrap_or(file);
    if inside.is_absolute() {
        return Url::from_file_path(inside).ok().map(String::from);
    }
    let url = Url::from_file_path(Path::new("/").join(inside)).ok()?;
    Some(url.path().trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_relative_addresses() {
        let folder = Path::new("/work");
        let relative = |file: &str| uri(Path::new(file), folder).unwrap();
        assert_eq!(relative("runs/1/a b%/case.json"), "runs/1/a%20b%25/case.json");
        assert_eq!(relative("/work/runs/case.json"), "runs/case.json");
        assert_eq!(relative("./runs/case.json"), "runs/case.json");
        assert_eq!(relative("/elsewhere/case.json"), "file:///elsewhere/case.json");
    }
}
