//! `--summary`: the figures of a run as JSON.
//!
//! The keys are promised for as long as `version` stays the same; docs/summary.md describes them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value as Json;

use super::gate;
use crate::apply::Steps;
use crate::campaign::{Corpus, Matrix, Standing, Summary};
use crate::filter::grammar::Coverage;
use crate::oracle::Oracle;
use crate::verdict::Tally;

const VERSION: u32 = 1;

#[derive(Serialize)]
struct File<'a> {
    format: &'static str,
    version: u32,
    seed: u64,
    engine: &'a str,
    backend: &'a str,
    dialect: &'a str,
    jobs: usize,
    seconds: f64,
    /// Of a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    corpus: Option<CorpusEntry<'a>>,
    cases: u64,
    /// Hexadecimal: JSON readers with doubles would round it.
    cases_digest: String,
    checks: u64,
    checks_per_second: f64,
    selective_share: f64,
    coverage: CoverageEntry,
    unproven_share: f64,
    verdicts: Tally,
    /// The same by oracle.
    oracles: &'a std::collections::BTreeMap<Oracle, Tally>,
    model_alone: u64,
    unrepeatable: u64,
    unexplored: u64,
    undefined: &'a std::collections::BTreeMap<String, u64>,
    unproven: &'a std::collections::BTreeMap<String, u64>,
    steps: &'a Steps,
    /// How many cases grew from others.
    grown: u64,
    /// How many combinations were reached.
    reached: usize,
    /// From constructs to the share that is asked of them.
    held_back: BTreeMap<String, f64>,
    known: &'a std::collections::BTreeMap<String, u64>,
    fixed: &'a [String],
    steered: u64,
    restarts: u64,
    interrupted: bool,
    error: &'a Option<String>,
    findings: Vec<FindingEntry<'a>>,
}

/// What came of the corpus.
#[derive(Serialize)]
struct CorpusEntry<'a> {
    cases: usize,
    /// From standings to how many cases have them.
    standings: BTreeMap<Standing, usize>,
    /// Those that are not as expected.
    telling: Vec<TellingEntry<'a>>,
}

#[derive(Serialize)]
struct TellingEntry<'a> {
    case: &'a str,
    file: Option<&'a Path>,
    standing: Standing,
    says: String,
}

impl CorpusEntry<'_> {
    fn of(corpus: &Corpus) -> CorpusEntry<'_> {
        let count = |standing: Standing| (standing, corpus.of(standing).count());
        let telling = gate::telling(corpus).into_iter().map(|replayed| TellingEntry {
            case: &replayed.name,
            file: replayed.file.as_deref(),
            standing: replayed.standing,
            says: gate::sentence(replayed),
        });
        CorpusEntry {
            cases: corpus.cases,
            standings: Standing::ALL.into_iter().map(count).collect(),
            telling: telling.collect(),
        }
    }
}

/// What was asked of what the dialect has.
#[derive(Serialize)]
struct CoverageEntry {
    share: f64,
    hit: usize,
    cells: usize,
    never_hit: Vec<String>,
}

impl CoverageEntry {
    fn of(coverage: &Coverage) -> CoverageEntry {
        CoverageEntry {
            share: coverage.share(),
            hit: coverage.hit(),
            cells: coverage.wanted().len(),
            never_hit: coverage.missed().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Serialize)]
struct FindingEntry<'a> {
    oracle: Oracle,
    class: String,
    shape: &'a str,
    filter: String,
    ast_nodes: usize,
    rows: usize,
    fields: usize,
    count: u64,
    minimal: bool,
    shrink_evaluations: usize,
    seconds_to_first: f64,
    path: Option<String>,
}

/// The figures of a campaign; `paths` has the folder of each finding by its shape.
pub fn to_json(summary: &Summary, paths: &HashMap<String, PathBuf>) -> Json {
    let findings = summary.findings.iter().map(|finding| FindingEntry {
        oracle: finding.oracle,
        class: finding.divergence.class.to_string(),
        shape: &finding.shape,
        filter: finding.filter_text(),
        ast_nodes: finding.nodes(),
        rows: finding.rows(),
        fields: finding.fields(),
        count: finding.count,
        minimal: finding.minimal,
        shrink_evaluations: finding.evaluations,
        seconds_to_first: finding.seconds_to_first,
        path: paths.get(&finding.shape).map(|path| path.display().to_string()),
    });
    let file = File {
        format: "milvus-difftest/summary",
        version: VERSION,
        seed: summary.seed,
        engine: &summary.engine,
        backend: &summary.backend,
        dialect: &summary.dialect,
        jobs: summary.jobs,
        seconds: summary.elapsed.as_secs_f64(),
        corpus: summary.corpus.as_ref().map(CorpusEntry::of),
        cases: summary.cases,
        cases_digest: format!("{:016x}", summary.cases_digest),
        checks: summary.verdicts.total(),
        checks_per_second: summary.checks_per_second(),
        selective_share: summary.selective_share(),
        coverage: CoverageEntry::of(&summary.coverage),
        unproven_share: summary.unproven_share(),
        verdicts: summary.verdicts,
        oracles: &summary.oracles,
        model_alone: summary.model_alone,
        unrepeatable: summary.unrepeatable,
        unexplored: summary.unexplored,
        undefined: &summary.undefined,
        unproven: &summary.unproven,
        steps: &summary.steps,
        grown: summary.grown,
        reached: summary.reached.len(),
        held_back: summary.held_back().iter().map(|(it, share)| (it.to_string(), share)).collect(),
        known: &summary.known,
        fixed: &summary.fixed,
        steered: summary.steered,
        restarts: summary.restarts,
        interrupted: summary.interrupted,
        error: &summary.error,
        findings: findings.collect(),
    };
    // Strings, numbers and maps with string keys always serialise.
    serde_json::to_value(&file).unwrap_or_default()
}

/// The figures of campaigns side by side, and what their findings came to on each engine.
pub fn of_engines(summaries: Vec<Json>, matrix: Option<&Matrix>) -> Json {
    serde_json::json!({
        "format": "milvus-difftest/summaries",
        "version": VERSION,
        "engines": summaries,
        "matrix": matrix.map(super::matrix::to_json),
    })
}
