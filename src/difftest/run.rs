//! Running a test: what was kept first, then new cases until the first finding.

use std::collections::BTreeMap;

use super::builder::Aim;
use super::error::{DiffTestError, Finding, Regression, Report};
use super::plan::Plan;
use crate::campaign::{
    Campaign, Event, Outcome, Stop, Summary, Target, Trial, TrialOptions, WorkbenchOptions,
};
use crate::case::Case;
use crate::engine::{
    ContainerOptions, EmbeddedOptions, EngineChoice, EngineError, InstallStep, MilvusImage, install,
};
use crate::reference::Reference;
use crate::report;

impl Plan {
    pub async fn run(self) -> Result<Report, DiffTestError> {
        // Before any engine is started.
        let mut kept = Vec::new();
        if self.folder.exists() {
            for path in Case::files(&self.folder)? {
                let (case, _) = Case::load(&path)?;
                kept.push((path, case));
            }
        }
        let target = self.target().await?;
        let regressions = match kept.is_empty() {
            true => Vec::new(),
            false => self.replay(&target, kept).await?,
        };
        let fails = |it: &Regression| matches!(it.outcome, Outcome::Fail(_) | Outcome::Conflict(_));
        if regressions.iter().any(fails) {
            let failing = regressions.into_iter().filter(fails).collect();
            return Err(DiffTestError::Regressed { name: self.name, failing });
        }
        let (summary, findings) = self.fuzz(target).await?;
        self.judged(regressions, summary, findings)
    }

    async fn target(&self) -> Result<Target, DiffTestError> {
        // Shown where a test runner shows what a failing or a slow test wrote.
        let progress = |step: InstallStep| {
            if !matches!(step, InstallStep::Pulling { done: 1.., .. }) {
                eprintln!("difftest '{}': {step}", self.name);
            }
        };
        let choice = match &self.aim {
            Some(Aim::Simulated(options)) => return Ok(Target::Simulated(options.clone())),
            Some(Aim::Uri(uri)) => {
                return Ok(Target::External { uri: uri.clone(), token: self.token.clone() });
            }
            Some(Aim::Engine(name)) => name.parse()?,
            None => EngineChoice::default(),
        };
        let target: Result<Target, EngineError> = match choice {
            EngineChoice::Embedded(kind) => {
                let options = EmbeddedOptions { kind, ..EmbeddedOptions::default() };
                install(&options, &progress).await.map(Target::Embedded)
            }
            EngineChoice::Container(image) => {
                let image = Some(image);
                let options = ContainerOptions { image, ..ContainerOptions::default() };
                MilvusImage::pull(&options, &progress).await.map(Target::Container)
            }
        };
        Ok(target?)
    }

    async fn replay(
        &self,
        target: &Target,
        kept: Vec<(std::path::PathBuf, Case)>,
    ) -> Result<Vec<Regression>, DiffTestError> {
        let options = TrialOptions {
            references: vec![Reference::DuckDbInMemory],
            deadlines: WorkbenchOptions::default(),
            known: self.known.clone(),
        };
        let mut trial = Trial::start(target, &options, 0).await?;
        let dialect = trial.dialect().clone();
        let mut regressions = Vec::new();
        for (path, case) in kept {
            let outcomes = trial.ask(&case, Some(&dialect)).await?;
            let outcome = Outcome::worst(outcomes.into_iter().map(|(_, outcome)| outcome));
            regressions.push(Regression { path, case, outcome });
        }
        trial.stop().await;
        Ok(regressions)
    }

    /// New cases, until there is a finding.
    async fn fuzz(&self, target: Target) -> Result<(Summary, Vec<Finding>), DiffTestError> {
        let campaign = Campaign {
            seed: self.seed,
            cases: self.cases,
            time: self.time,
            known: self.known.clone(),
            generation: self.generation.clone(),
            ..Campaign::new(target)
        };
        let started = campaign.start().await?;
        let schema = self.generation.schema.as_ref();
        if let Some(what) = schema.and_then(|schema| started.dialect.lacks_in(schema)) {
            let (name, dialect) = (self.name.clone(), started.dialect.name.clone());
            return Err(DiffTestError::Lacks { name, dialect, what });
        }
        let stop = Stop::default();
        let mut kept = BTreeMap::new();
        let mut keep = |event: &Event, _: &Summary| {
            if let Event::Found(finding) = event {
                let folder = report::finding::write(&self.folder, finding);
                kept.insert(finding.shape.clone(), folder);
                stop.stop();
            }
        };
        let mut summary = started.run(&stop, &mut keep).await?;
        let findings = std::mem::take(&mut summary.findings).into_iter();
        let findings = findings.filter_map(|finding| {
            let kept = kept.remove(&finding.shape)?;
            Some(Finding { finding, kept })
        });
        let findings = findings.collect();
        Ok((summary, findings))
    }

    fn judged(
        self,
        regressions: Vec<Regression>,
        summary: Summary,
        findings: Vec<Finding>,
    ) -> Result<Report, DiffTestError> {
        let Plan { name, seed, generation, .. } = self;
        if !findings.is_empty() {
            return Err(DiffTestError::Found { name, findings, summary: Box::new(summary) });
        }
        let unfinished = match &summary.error {
            Some(error) => Some(error.clone()),
            None if summary.conflicts > 0 => Some(
                "the references disagreed with each other, a defect of milvus-difftest, and did \
                 not when asked again"
                    .to_owned(),
            ),
            None if summary.unexplored > 0 => Some(format!(
                "there was no time to look into {} wrong answers; give it more time, or cases \
                 without a limit of time",
                summary.unexplored
            )),
            None => None,
        };
        if let Some(reason) = unfinished {
            return Err(DiffTestError::Unfinished { name, seed, reason });
        }
        let reason = if summary.verdicts.total() == 0 {
            Some("no check was made; give it more time or cases".to_owned())
        } else if generation.filters > 0 && summary.filters == 0 {
            Some("no filter was judged; the weights may leave none".to_owned())
        } else if summary.is_vacuous() {
            let share = 100.0 * summary.unproven_share();
            Some(format!("{share:.0} % of the checks were rejected, unsupported or inconclusive"))
        } else {
            None
        };
        let report = Report { name, regressions, summary };
        match reason {
            Some(reason) => Err(DiffTestError::Vacuous { reason, report: Box::new(report) }),
            None => Ok(report),
        }
    }
}
