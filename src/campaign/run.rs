//! Running a campaign: workers, budget, interruption.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

use super::event::Event;
use super::feedback::Feedback;
use super::gate::{Gate, Queue, replay};
use super::progress::{Progress, Resumed};
use super::shard::Shard;
use super::summary::Summary;
use super::trial::Trial;
use super::workbench::{BenchError, Workbench, WorkbenchOptions};
use super::worker::{Shared, look_for_fixed, work};
use crate::engine::simulated::SimulatedOptions;
use crate::engine::{Engine, EngineError, Installation, MilvusImage, Secret};
use crate::generate;
use crate::known::{KnownError, KnownIssues};
use crate::milvus::{Dialect, DialectError};
use crate::reference::{Reference, References};
use crate::shrink::Budget;

/// Where the engines of a campaign come from.
#[derive(Debug, Clone)]
pub enum Target {
    /// One embedded engine for each worker.
    Embedded(Installation),
    /// One container for each worker.
    Container(MilvusImage),
    /// One engine that runs already.
    External {
        /// Where.
        uri: String,
        /// Its credentials.
        token: Option<Secret>,
    },
    /// One simulated engine for each worker, to test the tester.
    Simulated(SimulatedOptions),
}

impl Target {
    /// An engine of this kind, running.
    pub async fn start(&self, patience: Duration) -> Result<Engine, EngineError> {
        match self {
            Target::Embedded(installation) => installation.start().await,
            Target::Container(image) => image.start().await,
            Target::External { uri, token } => {
                Engine::external(uri.clone(), token.clone(), patience).await
            }
            Target::Simulated(options) => Engine::simulated(options.clone()),
        }
    }
}

/// A campaign that can be run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The engines.
    pub target: Target,
    /// What judges beside the model, opened by each worker; nothing if it judges alone.
    pub references: Vec<Reference>,
    /// Every case follows from it, the dialect and the options of the generator.
    pub seed: u64,
    /// What the engine has; by its version if none is given.
    pub dialect: Option<Dialect>,
    /// What to generate beside.
    pub generation: generate::Options,
    /// Workers.
    pub jobs: usize,
    /// The number of the first of them: campaigns side by side must not share a worker's number,
    /// because its references may have files by it.
    pub first_worker: usize,
    /// The part of its cases that is judged.
    pub shard: Shard,
    /// Whether cases grow from those that reached something new, and what the engine refuses is
    /// held back. Without, a shard judges the very cases that the whole campaign would.
    pub feedback: bool,
    /// What is replayed before; its time is part of [`time`](Self::time), but does not end with it.
    pub gate: Option<Gate>,
    /// What it goes on from: the same campaign, up to where it was ended or killed.
    pub so_far: Progress,
    /// The first cases, so many of all shards together; those judged before included.
    pub cases: Option<u64>,
    /// So long, at most, from when it is begun or resumed. What is being shrunk at the end may take ten seconds more; shapes that
    /// are new then are counted as unexplored.
    pub time: Option<Duration>,
    /// What shrinking one finding may cost.
    pub shrink: Budget,
    /// How long calls may take.
    pub deadlines: WorkbenchOptions,
    /// What is known of the engine.
    pub known: Known,
}

/// Which known issues a campaign tolerates.
#[derive(Debug, Clone, Default)]
pub enum Known {
    /// None: every divergence is a finding.
    #[default]
    Nothing,
    /// Those that come with this crate for the engine's version.
    OfVersion,
    /// These.
    List(KnownIssues),
}

impl Known {
    /// What is known of an engine of this version.
    pub(super) fn of(&self, version: &str) -> Result<KnownIssues, KnownError> {
        match self {
            Known::Nothing => Ok(KnownIssues::default()),
            Known::OfVersion => KnownIssues::for_version(version),
            Known::List(list) => Ok(list.clone()),
        }
    }
}

/// Why a campaign could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// No engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No connection, or no reference database.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The lists of known issues are unreadable.
    #[error(transparent)]
    Known(#[from] KnownError),
    /// The campaign to go on with is another.
    #[error(
        "the campaign cannot go on: it was begun on {was}, and this is {is}; go on with the engine \
         and the reference databases of then, or begin another"
    )]
    Changed {
        /// What it was begun on.
        was: String,
        /// What there is now.
        is: String,
    },
    /// The built-in dialects are unreadable.
    #[error("the built-in dialects are unreadable: {0}")]
    Dialects(#[from] DialectError),
}

/// Asks a running campaign to end; its summary is complete all the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for the end.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Campaign {
    /// A campaign with one worker and the budgets that the command line has by default, without
    /// an end: set [`cases`](Self::cases) or [`time`](Self::time).
    pub fn new(target: Target) -> Campaign {
        Campaign {
            target,
            references: vec![Reference::DuckDbInMemory],
            seed: 0,
            dialect: None,
            generation: generate::Options::default(),
            jobs: 1,
            first_worker: 0,
            shard: Shard::WHOLE,
            feedback: true,
            gate: None,
            so_far: Progress::default(),
            cases: None,
            time: None,
            shrink: Budget::default(),
            deadlines: WorkbenchOptions::default(),
            known: Known::default(),
        }
    }

    /// Starts the engines, each with its references beside it.
    pub async fn start(&self) -> Result<Started<'_>, CampaignError> {
        // Side by side: some engines take seconds to start.
        let bench = |worker| async move {
            let engine = self.target.start(self.deadlines.call_deadline);
            let references = References::open(&self.references, self.first_worker + worker);
            let (engine, references) = futures::future::join(engine, references).await;
            let references = references.map_err(BenchError::from)?;
            Ok::<_, CampaignError>(Workbench::with(engine?, self.deadlines, references).await?)
        };
        let benches = try_join_all((0..self.jobs.max(1)).map(bench)).await?;
        let version = benches.first().map(|b| b.engine_version().to_owned()).unwrap_or_default();
        let dialect = match &self.dialect {
            Some(dialect) => dialect.clone(),
            None => Dialect::for_version(&version)?,
        };
        Ok(Started { campaign: self, benches, version, dialect })
    }

    /// Runs to the end of the budget, or until `stop` is asked. `sink` sees every event as it
    /// happens.
    pub async fn run(
        &self,
        stop: &Stop,
        sink: &mut (dyn FnMut(&Event, &Summary) + Send),
    ) -> Result<Summary, CampaignError> {
        self.start().await?.run(stop, sink).await
    }
}

/// A campaign whose engines run.
pub struct Started<'a> {
    campaign: &'a Campaign,
    benches: Vec<Workbench>,
    version: String,
    /// What is asked: what the campaign says, or else what the engine's version has.
    pub dialect: Dialect,
}

impl Started<'_> {
    /// See [`Campaign::run`].
    pub async fn run(
        self,
        stop: &Stop,
        sink: &mut (dyn FnMut(&Event, &Summary) + Send),
    ) -> Result<Summary, CampaignError> {
        let Started { campaign, benches, version, dialect } = self;
        let backend = benches.first().map(Workbench::backend_names).unwrap_or_default();
        let known_issues = campaign.known.of(&version)?;
        let queue = campaign.gate.as_ref().map(|gate| {
            Queue::of(gate, &version, &known_issues, campaign.dialect.clone())
                .map(|queue| (Arc::new(queue), gate.deny_fixed))
        });
        let queue = queue.transpose()?;
        let (events, mut received) = unbounded_channel();
        let begin = Event::Started {
            seed: campaign.seed,
            engine: version,
            backend,
            dialect: dialect.name.clone(),
            cells: dialect.cells(),
            jobs: benches.len(),
        };
        let so_far = &campaign.so_far;
        let Resumed { mut summary, done, shapes } = so_far.clone().resumed();
        let begin = match so_far.is_begun() {
            false => begin,
            true => {
                let mut now = Summary::default();
                now.add(&begin);
                same_campaign(&summary, &now)?;
                Event::Resumed { elapsed: summary.elapsed, jobs: benches.len() }
            }
        };
        let before = summary.elapsed;
        let mut emit = |summary: &mut Summary, event: Event| {
            summary.add(&event);
            sink(&event, summary);
        };
        emit(&mut summary, begin);
        let mut met: BTreeSet<String> = summary.known.keys().cloned().collect();
        if let Some((queue, deny_fixed)) = &queue {
            // Their cases are among those that are replayed.
            met.extend(known_issues.issues.iter().map(|issue| issue.title.clone()));
            let (alone, deny_fixed) = (campaign.cases == Some(0), *deny_fixed);
            emit(&mut summary, Event::Gate { cases: queue.len(), alone, deny_fixed });
        }
        let feedback = campaign.feedback.then(|| {
            let mut feedback = Feedback::new(campaign.seed, campaign.shard);
            done.iter().for_each(|(number, lesson)| feedback.learn(*number, lesson.clone()));
            Mutex::new(feedback)
        });
        let started = Instant::now();
        let shared = Arc::new(Shared {
            seed: campaign.seed,
            dialect,
            generation: campaign.generation.clone(),
            shard: campaign.shard,
            done: done.into_keys().collect(),
            feedback,
            cases: campaign.cases,
            deadline: campaign.time.map(|time| started + time),
            shrink: campaign.shrink,
            started,
            before,
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            shapes: Mutex::new(shapes),
            met: Mutex::new(met),
            known_issues,
            events,
        });
        let mut workers = JoinSet::new();
        for (number, mut bench) in benches.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            let queue = queue.as_ref().map(|(queue, _)| Arc::clone(queue));
            workers.spawn(async move {
                let mut result = Ok(());
                if let Some(queue) = queue {
                    let mut trial = Trial::on(bench, shared.known_issues.clone())?;
                    result = replay(&shared, &queue, &mut trial).await;
                    bench = trial.into_bench();
                }
                if result.is_ok() {
                    result = work(&shared, &mut bench).await;
                }
                if number == 0 && result.is_ok() {
                    result = look_for_fixed(&shared, &mut bench).await;
                }
                bench.stop().await;
                result.map_err(CampaignError::from)
            });
        }
        let mut error = None;
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                Some(event) = received.recv() => {
                    summary.elapsed = before + started.elapsed();
                    emit(&mut summary, event);
                }
                joined = workers.join_next() => match joined {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    // The others end too: what they would find is tainted, or is found again.
                    Some(Ok(Err(failure))) => {
                        error.get_or_insert(failure.to_string());
                        shared.stop.store(true, Ordering::Relaxed);
                    }
                    Some(Err(failure)) => {
                        error.get_or_insert(format!("a worker failed: {failure}"));
                        shared.stop.store(true, Ordering::Relaxed);
                    }
                },
                _ = tick.tick() => {
                    if stop.is_asked() {
                        shared.stop.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        while let Ok(event) = received.try_recv() {
            emit(&mut summary, event);
        }
        let interrupted = stop.is_asked();
        let elapsed = before + started.elapsed();
        emit(&mut summary, Event::Finished { elapsed, interrupted, error });
        Ok(summary)
    }
}

/// Fails if one would not go on with the cases and the judgement of the other.
fn same_campaign(was: &Summary, is: &Summary) -> Result<(), CampaignError> {
    let told = |summary: &Summary| {
        let Summary { engine, dialect, backend, seed, .. } = summary;
        let cells = summary.coverage.wanted().len();
        format!("{engine} (dialect {dialect}, {cells} cells) against '{backend}' with seed {seed}")
    };
    let (before, now) = (told(was), told(is));
    match before == now && was.coverage.wanted() == is.coverage.wanted() {
        true => Ok(()),
        false => Err(CampaignError::Changed { was: before, is: now }),
    }
}
