//! Each oracle on its own finds a fault that it is for, and nothing where there is none.

use std::collections::BTreeSet;
use std::time::Duration;

use milvus_difftest::campaign::{Campaign, Event, Stop, Summary, Target};
use milvus_difftest::engine::simulated::{Fault, SimulatedOptions};
use milvus_difftest::oracle::Oracle;
use milvus_difftest::verdict::Class;

/// A campaign with one oracle that ends with the first finding.
async fn hunt(oracle: Oracle, fault: Option<Fault>, cases: u64) -> Summary {
    let faults = fault.into_iter().collect();
    let target = Target::Simulated(SimulatedOptions { faults, ..SimulatedOptions::default() });
    let mut campaign = Campaign { seed: 5, cases: Some(cases), ..Campaign::new(target) };
    campaign.generation.oracles = BTreeSet::from([oracle]);
    campaign.generation.filters = 20;
    campaign.deadlines.query_deadline = Duration::from_secs(2);
    campaign.deadlines.call_deadline = Duration::from_secs(4);
    let stop = Stop::default();
    let mut first = |event: &Event, _: &Summary| {
        if let Event::Found(_) = event {
            stop.stop();
        }
    };
    let summary = campaign.run(&stop, &mut first).await.expect("the simulated engine runs");
    assert_eq!(summary.error, None);
    summary
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_oracle_finds_what_it_is_for_and_nothing_else() {
    let table = [
        (Oracle::Reference, Fault::LessThanIncludesEqual),
        (Oracle::Reference, Fault::AnswersAreCached),
        (Oracle::Reference, Fault::UpsertIsTorn),
        (Oracle::Reference, Fault::PartitionsIgnored),
        (Oracle::Reference, Fault::DroppedPartitionKeepsRows),
        (Oracle::Reference, Fault::AlteredAliasStays),
        (Oracle::Partition, Fault::DropLastMatch),
        (Oracle::Partition, Fault::DeMorganForgotten),
        (Oracle::Projection, Fault::LikePercentIsPrefix),
        (Oracle::Projection, Fault::JsonIntIsDouble),
        (Oracle::Rewrite, Fault::DeMorganForgotten),
        (Oracle::Rewrite, Fault::InIgnoresLast),
        (Oracle::Rewrite, Fault::ConstantFirstNotMirrored),
        (Oracle::Template, Fault::TemplateListLosesLast),
        (Oracle::Paging, Fault::OffsetIgnored),
        (Oracle::Paging, Fault::IterationSkips),
        (Oracle::Count, Fault::CountOffByOne),
        (Oracle::Search, Fault::SearchMissesNearest),
        (Oracle::Search, Fault::SearchIgnoresFilter),
        (Oracle::Search, Fault::SearchScoresAreRoots),
        (Oracle::Search, Fault::CosineIsProduct),
        (Oracle::Consistency, Fault::SessionForgotten),
        (Oracle::Search, Fault::RangeFilterIgnored),
        (Oracle::Search, Fault::GroupsAreLast),
        (Oracle::Search, Fault::RebuiltIndexLacksLast),
        (Oracle::Index, Fault::IndexForgetsNegatives),
        (Oracle::Segment, Fault::FlushLosesLast),
        (Oracle::Segment, Fault::FlushRevivesDeleted),
        (Oracle::Compaction, Fault::CompactionRevivesDeleted),
        (Oracle::Compaction, Fault::CompactionUndoesUpserts),
        (Oracle::Reload, Fault::ReloadUndoesUpserts),
        (Oracle::Reload, Fault::ReloadRevivesDeletedFlushed),
        (Oracle::Restart, Fault::RestartLosesLastWrite),
        (Oracle::Durability, Fault::RestartLosesUnflushed),
    ];
    for (oracle, fault) in table {
        let summary = hunt(oracle, Some(fault), 600).await;
        let finding = summary.findings.first();
        let finding = finding.unwrap_or_else(|| panic!("{oracle} does not find {fault}"));
        assert_eq!(finding.oracle, oracle, "{fault}");
        let all: Vec<&Oracle> = summary.oracles.keys().collect();
        assert_eq!(all, [&oracle], "{fault}: nothing else judges");
        if !matches!(oracle, Oracle::Reference | Oracle::Search) {
            assert_eq!(finding.divergence.class, Class::SelfInconsistent, "{fault}");
        }
    }
    let questions: BTreeSet<Oracle> = table.iter().map(|(oracle, _)| *oracle).collect();
    for oracle in questions {
        let summary = hunt(oracle, None, 40).await;
        assert!(summary.findings.is_empty(), "{oracle}: {:?}", summary.findings);
        assert_eq!(summary.verdicts.divergence, 0, "{oracle}");
        assert!(summary.verdicts.pass > 0, "{oracle} has proven something");
    }
}
