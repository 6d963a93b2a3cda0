//! One engine and its reference databases, on which cases are judged one after the other; kept
//! running through crashes and hangs.

use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::apply::{ApplyError, Sides, Situation, Steps, begin, discard};
use crate::backend::{BackendError, Table};
use crate::case::{Case, CaseError, Check, Operation, Relation};
use crate::engine::{Engine, EngineError};
use crate::known::{Issue, KnownIssues};
use crate::milvus::{ConnectOptions, Dialect, Milvus, MilvusError};
use crate::reference::{Reference, ReferenceError, References};
use crate::shrink::Probe;
use crate::verdict::{Actual, Class, Divergence, Doubt, Expected, Judges, Verdict};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct WorkbenchOptions {
    /// A query beyond this is a hang.
    pub query_deadline: Duration,
    /// Every other call.
    pub call_deadline: Duration,
}

impl Default for WorkbenchOptions {
    fn default() -> WorkbenchOptions {
        WorkbenchOptions {
            query_deadline: Duration::from_secs(10),
            call_deadline: Duration::from_secs(30),
        }
    }
}

/// An engine and its reference databases.
pub struct Workbench {
    engine: Engine,
    milvus: Milvus,
    references: References,
    options: WorkbenchOptions,
    restarts: Vec<String>,
    steps: Steps,
    situations: Vec<Situation>,
}

/// Why no more case can be judged here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The engine is gone and does not come back.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine cannot be used.
    #[error(transparent)]
    Milvus(#[from] MilvusError),
    /// A reference database failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The options for generating cases give what cannot be one.
    #[error("the case that was to be judged next cannot be used: {0}")]
    Case(#[from] CaseError),
    /// A reference database cannot be opened.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl BenchError {
    /// Whether the engine was lost while it started, or before its first call.
    fn is_another_death(&self) -> bool {
        match self {
            BenchError::Engine(EngineError::StartFailed { .. }) => true,
            BenchError::Milvus(error) => error.is_unavailable(),
            _ => false,
        }
    }
}

/// The engine stopped answering.
struct Lost {
    error: MilvusError,
    in_writes: bool,
    collection: String,
    /// What may point to it.
    aliases: Vec<String>,
}

/// How often the engine must have died of one question to be blamed for it.
#[derive(Default)]
struct Deaths {
    by_itself: usize,
    all: usize,
}

impl Deaths {
    /// Twice by its own doing. What looks like somebody else's, as SIGKILL does, may strike twice by
    /// chance; an engine that is killed for the memory it takes is killed each time.
    fn are_a_crash(&self) -> bool {
        self.by_itself >= 2 || self.all >= 4
    }
}

/// How often to try to start an engine again: the first may be killed while it starts.
const STARTS: usize = 5;

/// A step of a case.
enum Step<'a> {
    Change(&'a Operation),
    Check(&'a Check),
}

impl Step<'_> {
    fn of(operation: &Operation) -> Step<'_> {
        match operation {
            Operation::Ask(check) => Step::Check(check),
            operation => Step::Change(operation),
        }
    }
}

/// What became of the checks of one application of a case.
enum Attempt {
    /// They were judged, or the caller had enough.
    Done,
    /// The engine hung and was restarted; the rest needs the case applied again.
    Again,
}

impl Workbench {
    /// Connects to an engine, with an in-memory DuckDB beside it.
    pub async fn new(engine: Engine, options: WorkbenchOptions) -> Result<Workbench, BenchError> {
        let references = References::open(&[Reference::DuckDbInMemory], 0).await?;
        Workbench::with(engine, options, references).await
    }

    /// Connects to an engine, with these references beside it.
    pub async fn with(
        engine: Engine,
        options: WorkbenchOptions,
        references: References,
    ) -> Result<Workbench, BenchError> {
        let milvus = connect(&engine, options).await?;
        Ok(Workbench {
            engine,
            milvus,
            references,
            options,
            restarts: Vec::new(),
            steps: Steps::new(),
            situations: Vec::new(),
        })
    }

    /// The engine's version, as it reports it. For one that reports none, the version that was
    /// started, or `milvus_lite-2`: no other Milvus lacks that call.
    pub fn engine_version(&self) -> &str {
        match self.milvus.version() {
            "" => self.engine.version().unwrap_or("milvus_lite-2"),
            version => version,
        }
    }

    /// The reference databases' names and versions; empty if the model judges alone.
    pub fn backend_names(&self) -> String {
        self.references.names()
    }

    /// The references' SQL for a case's only check: of those that can express it, each after its
    /// name if there are several.
    pub fn sql(&self, case: &Case) -> Option<String> {
        let table = Table::new("collection", case.schema.clone());
        let filter = case.checks.first()?.filter()?;
        let sql = self.references.backends.iter().filter_map(|backend| {
            let sql = backend.explain(&table, filter).ok()?;
            Some(match self.references.backends.len() {
                1 => sql,
                _ => format!("-- {}\n{sql}", backend.name()),
            })
        });
        Some(sql.collect::<Vec<_>>().join("\n\n")).filter(|sql| !sql.is_empty())
    }

    /// The databases that can judge a case's only check; all, if SQL is no part of that.
    pub fn judging(&self, case: &Case) -> String {
        let Some(filter) = case.checks.first().and_then(Check::filter) else {
            return self.backend_names();
        };
        let table = Table::new("collection", case.schema.clone());
        let able = self.references.backends.iter().filter(|b| b.explain(&table, filter).is_ok());
        match able.map(|backend| backend.name()).collect::<Vec<_>>().as_slice() {
            // None of them: that is told apart.
            [] => self.backend_names(),
            names => names.join(", "),
        }
    }

    /// Why the engine was restarted, for each time since this was last asked.
    pub fn take_restarts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.restarts)
    }

    /// What became of the steps of maintenance in histories since this was last asked.
    pub fn take_steps(&mut self) -> Steps {
        std::mem::take(&mut self.steps)
    }

    /// What the questions of the last case found, in order; of those that killed the engine, nothing.
    pub fn situations(&self) -> &[Situation] {
        &self.situations
    }

    /// Stops the engine, if it was started here.
    pub async fn stop(self) {
        self.engine.stop().await;
        self.references.close().await;
    }

    /// Judges the questions of a case, in order, until `seen` has had enough.
    ///
    /// A crash is reported only if it repeats on a fresh engine, as every mismatch must. If it does
    /// not, what the engine gets wrong when it is asked again is reported all the same; that it gets
    /// it right would hide the death, and is inconclusive.
    pub async fn judge(
        &mut self,
        case: &Case,
        seen: &mut (dyn FnMut(&Check, &Verdict) -> ControlFlow<()> + Send),
    ) -> Result<Vec<Verdict>, BenchError> {
        let mut verdicts = Vec::new();
        self.situations.clear();
        loop {
            let lost = match self.attempt(case, &mut verdicts, seen).await? {
                Ok(Attempt::Done) => return Ok(verdicts),
                Ok(Attempt::Again) => continue,
                Err(lost) => lost,
            };
            let Some(alone) = case.asking(verdicts.len()) else { return Ok(verdicts) };
            let mut in_writes = lost.in_writes;
            let mut deaths = Deaths::default();
            let mut reason = self.revive(lost, &mut deaths).await?;
            let mut crashed = false;
            let situations = std::mem::take(&mut self.situations);
            let verdict = loop {
                let mut again = Vec::new();
                let mut all = |_: &Check, _: &Verdict| ControlFlow::Continue(());
                match self.attempt(&alone, &mut again, &mut all).await? {
                    Err(lost) => {
                        in_writes = lost.in_writes;
                        reason = self.revive(lost, &mut deaths).await?;
                        crashed = deaths.are_a_crash();
                        if crashed {
                            break divergence(Class::Crash, reason);
                        }
                    }
                    Ok(_) => match again.pop() {
                        // Those in between come first.
                        Some(wrong @ Verdict::Divergence(_))
                            if again.len() + 1 == alone.questions().count() =>
                        {
                            break wrong;
                        }
                        _ => {
                            break Verdict::Inconclusive(Doubt::Unrepeatable(format!(
                                "the engine died ({reason}), and did not when asked again"
                            )));
                        }
                    },
                }
            };
            self.situations = situations;
            // What dies of its writes dies under every check.
            let questions: Vec<&Check> = case.questions().collect();
            let settled = if crashed && in_writes { questions.len() } else { verdicts.len() + 1 };
            while verdicts.len() < settled {
                let flow = seen(questions[verdicts.len()], &verdict);
                verdicts.push(verdict.clone());
                if flow.is_break() {
                    return Ok(verdicts);
                }
            }
            if verdicts.len() == questions.len() {
                return Ok(verdicts);
            }
        }
    }

    /// Applies the case and judges the checks that have no verdict yet. The inner error says that
    /// the engine stopped answering.
    async fn attempt(
        &mut self,
        case: &Case,
        verdicts: &mut Vec<Verdict>,
        seen: &mut (dyn FnMut(&Check, &Verdict) -> ControlFlow<()> + Send),
    ) -> Result<Result<Attempt, Lost>, BenchError> {
        let mut sides = Sides {
            milvus: &self.milvus,
            backends: &mut self.references.backends,
            query_deadline: self.options.query_deadline,
            engine: Some(&mut self.engine),
        };
        let started_here = sides.engine.as_ref().is_some_and(|e| e.was_started_here());
        let questions: Vec<&Check> = case.questions().collect();
        let mut record = |verdicts: &mut Vec<Verdict>, verdict: Verdict| {
            let flow = seen(questions[verdicts.len()], &verdict);
            verdicts.push(verdict);
            flow
        };
        let collection = collection_name();
        let mut applied = match begin(case, &collection, &mut sides).await {
            Ok(applied) => applied,
            Err(error) => return self.give_up(case, &collection, error, true).await,
        };
        let mut hung = false;
        // How many questions this application has come to. Those of the history that have a verdict
        // already are asked all the same, unless they hung: they may be what it takes.
        let mut met = 0;
        let between = questions.len() - case.checks.len();
        let checks = case.checks.iter().map(Step::Check);
        for step in case.operations.iter().map(Step::of).chain(checks) {
            let is_hang = |verdict: &Verdict| match verdict {
                Verdict::Divergence(divergence) => divergence.class == Class::Hang,
                _ => false,
            };
            if let (Step::Check(_), Some(verdict)) = (&step, verdicts.get(met))
                && (met >= between || is_hang(verdict))
            {
                met += 1;
                continue;
            }
            let (judged, in_writes) = match step {
                Step::Check(check) => (applied.judge(check).await.map(Some), false),
                Step::Change(operation) => (applied.operate(operation).await.map(|()| None), true),
            };
            let verdict = match judged {
                Ok(None) => continue,
                Ok(Some(verdict)) => verdict,
                Err(ApplyError::Conflict(conflict)) if in_writes => {
                    while verdicts.len() < questions.len() {
                        let verdict = divergence(Class::ReferenceConflict, conflict.to_string());
                        if record(verdicts, verdict).is_break() {
                            break;
                        }
                    }
                    break;
                }
                Err(ApplyError::Conflict(conflict)) => {
                    divergence(Class::ReferenceConflict, conflict.to_string())
                }
                Err(error) => {
                    drop(applied);
                    return self.give_up(case, &collection, error, in_writes).await;
                }
            };
            met += 1;
            if met <= verdicts.len() {
                continue;
            }
            // Of a verdict that came without an application there is none.
            self.situations.resize(verdicts.len(), Situation::default());
            self.situations.push(applied.situation().clone());
            hung = is_hang(&verdict);
            // What hung in a write has no other answer to the questions after it.
            let settled = applied.is_refused();
            if record(verdicts, verdict).is_break() || hung && started_here && !settled {
                break;
            }
        }
        if hung && started_here {
            // It may still be busy with the query that it did not answer.
            drop(applied);
            self.forget(case, &collection).await?;
            self.restart("it did not answer in time".to_owned()).await?;
            let all = verdicts.len() == questions.len();
            return Ok(Ok(if all { Attempt::Done } else { Attempt::Again }));
        }
        for (name, carried) in applied.steps() {
            self.steps.entry(name.clone()).or_default().add(carried);
        }
        applied.close().await?;
        Ok(Ok(Attempt::Done))
    }

    /// Ends an application that cannot go on. What went wrong first is what to tell.
    async fn give_up(
        &mut self,
        case: &Case,
        collection: &str,
        error: ApplyError,
        in_writes: bool,
    ) -> Result<Result<Attempt, Lost>, BenchError> {
        let forgotten = self.forget(case, collection).await;
        let lost = lost(error, in_writes, collection, case)?;
        forgotten?;
        Ok(lost)
    }

    /// Drops the references' tables for a collection that is lost. They may be on a server that
    /// outlives this process.
    async fn forget(&mut self, case: &Case, collection: &str) -> Result<(), BenchError> {
        let table = Table::new(collection, case.schema.clone());
        for backend in &mut self.references.backends {
            backend.drop_table(&table).await?;
        }
        Ok(())
    }

    /// Gets the engine going again after it stopped answering; says what had happened, and counts
    /// it.
    async fn revive(&mut self, lost: Lost, deaths: &mut Deaths) -> Result<String, BenchError> {
        let reason = match self.engine.has_exited().await {
            Some(reason) => reason,
            None => lost.error.to_string(),
        };
        deaths.all += 1;
        deaths.by_itself += usize::from(self.engine.ended_by_itself().await);
        self.restart(reason.clone()).await?;
        if !self.engine.was_started_here() {
            // It may have it still.
            discard(&self.milvus, &lost.collection, lost.aliases.iter(), true).await;
        }
        Ok(reason)
    }

    async fn restart(&mut self, reason: String) -> Result<(), BenchError> {
        tracing::info!(reason, "restarting the engine");
        self.restarts.push(reason);
        for _ in 1..STARTS {
            match self.start_again().await {
                Err(error) if error.is_another_death() => {
                    tracing::warn!(%error, "the engine does not come back; trying again");
                }
                started => return started,
            }
        }
        self.start_again().await
    }

    async fn start_again(&mut self) -> Result<(), BenchError> {
        self.engine.restart().await?;
        self.milvus = connect(&self.engine, self.options).await?;
        Ok(())
    }
}

/// Sorts out the errors after which the engine may come back.
fn lost<T>(
    error: ApplyError,
    in_writes: bool,
    collection: &str,
    case: &Case,
) -> Result<Result<T, Lost>, BenchError> {
    let alias = |operation: &Operation| match operation {
        Operation::CreateAlias(name) => Some(name.clone()),
        _ => None,
    };
    match error {
        ApplyError::Target(error) if error.is_unavailable() => Ok(Err(Lost {
            error,
            in_writes,
            collection: collection.to_owned(),
            aliases: case.operations.iter().filter_map(alias).collect(),
        })),
        ApplyError::Target(error) => Err(error.into()),
        ApplyError::Backend(error) => Err(error.into()),
        ApplyError::Conflict(conflict) => unreachable!("a conflict is a verdict: {conflict}"),
    }
}

fn divergence(class: Class, text: String) -> Verdict {
    let actual = Actual::Error(text);
    let (expected, judges) = (Expected::Accepted, Judges::Both);
    Verdict::Divergence(Box::new(Divergence { class, expected, actual, judges }))
}

async fn connect(engine: &Engine, options: WorkbenchOptions) -> Result<Milvus, MilvusError> {
    Milvus::connect(&ConnectOptions {
        uri: engine.uri().to_owned(),
        token: engine.token().map(|token| token.expose().to_owned()),
        deadline: options.call_deadline,
    })
    .await
}

/// A name that no other collection has, on this machine or on a shared server.
fn collection_name() -> String {
    static RUN: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("difftest_{:x}_{}", *RUN, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Asks whether cases with one check each still diverge in one class.
pub(super) struct SameDefect<'a> {
    pub bench: &'a mut Workbench,
    pub class: Class,
    /// What is known must not take the place of what is looked for.
    pub known: &'a KnownIssues,
    /// What is looked for may be known itself: the titles of the issues that explain it, of which
    /// a smaller case may need fewer.
    pub titles: &'a [String],
    /// Those that it must need.
    pub needed: &'a [String],
    /// A smaller case must not ask for what the engine has not got; `None` if it may.
    pub dialect: Option<&'a Dialect>,
}

/// Whether the engine has what a check asks for.
fn is_asked_of(dialect: Option<&Dialect>, case: &Case, check: &Check) -> bool {
    let Some(dialect) = dialect else { return true };
    let filters = check.filters(&case.schema);
    filters.iter().all(|filter| dialect.lacks_for(&case.schema, filter).is_none())
}

impl<'a> SameDefect<'a> {
    /// What tells whether these issues, or as many of them as it takes, explain a divergence; of
    /// none, whether nothing does.
    fn is_explained(&self) -> impl Fn(Option<Vec<&Issue>>) -> bool + use<'a> {
        let (titles, needed) = (self.titles, self.needed);
        move |issues| {
            let Some(issues) = issues else { return titles.is_empty() };
            let is_there = |title: &String| issues.iter().any(|issue| issue.title == *title);
            !titles.is_empty()
                && issues.iter().all(|issue| titles.contains(&issue.title))
                && needed.iter().all(is_there)
        }
    }
}

impl Probe for SameDefect<'_> {
    type Error = BenchError;

    async fn first_diverging(
        &mut self,
        cases: &[Case],
        until: Instant,
    ) -> Result<(Option<usize>, usize), BenchError> {
        let mut asked = 0;
        // Neighbours with the same data are checks of one case: one collection serves them all.
        // A step of maintenance leaves another collection behind, on which it may show nothing.
        let lasts = |case: &Case| {
            let after =
                |check: &Check| matches!(check, Check::Agree { relation: Relation::After(_), .. });
            case.checks.iter().any(after)
        };
        let same_data = |a: &Case, b: &Case| {
            a.operations == b.operations && a.schema == b.schema && !lasts(a) && !lasts(b)
        };
        for group in cases.chunk_by(same_data) {
            if Instant::now() >= until {
                break;
            }
            let checks = group.iter().flat_map(|case| case.checks.clone()).collect();
            let merged = Case { checks, ..group[0].clone() };
            let (class, known, dialect) = (self.class, self.known, self.dialect);
            let is_explained = self.is_explained();
            // What a campaign leaves out, shrinking does not come back to.
            if self.titles.is_empty() && known.touched_deletion(&merged).is_some() {
                asked += merged.checks.len();
                continue;
            }
            let is_same = |check: &Check, verdict: &Verdict| match verdict {
                Verdict::Divergence(d)
                    if d.class == class && is_asked_of(dialect, &merged, check) =>
                {
                    is_explained(known.explain(&merged, check, d))
                }
                _ => false,
            };
            let between = merged.questions().count() - merged.checks.len();
            let mut met = 0;
            let mut stop = |check: &Check, verdict: &Verdict| {
                met += 1;
                if met > between && is_same(check, verdict) || Instant::now() >= until {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let verdicts = self.bench.judge(&merged, &mut stop).await?;
            // Questions in between are no check of what is being shrunk.
            let judged = verdicts.len().saturating_sub(between);
            let last = judged.checked_sub(1).and_then(|last| merged.checks.get(last));
            if let (Some(check), Some(verdict)) = (last, verdicts.last())
                && is_same(check, verdict)
            {
                let found = asked + judged - 1;
                return Ok((Some(found), found + 1));
            }
            asked += judged;
        }
        Ok((None, asked))
    }
}
