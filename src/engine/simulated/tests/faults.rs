//! Every fault, and an answer that shows it.

use super::*;

/// What brings a fault to light.
enum Witness {
    /// A query answers with other rows, or not at all.
    Filter(&'static str),
    /// A query answers with the right keys and other values.
    Values,
    /// Something else, tested on its own below.
    Own,
}

fn witness(fault: Fault) -> Witness {
    use Witness::{Filter, Own, Values};
    match fault {
        Fault::DropLastMatch | Fault::DuplicateRow | Fault::UnrepeatableDrop => Filter("id > 2"),
        Fault::WrongValue | Fault::NullBecomesDefault | Fault::FloatOutputDrifts => Values,
        Fault::Turned(switch) => turned(switch),
        Fault::LessThanIncludesEqual => Filter("i8 < 7"),
        Fault::InIgnoresLast => Filter("i8 in [5, 7]"),
        Fault::LikePercentIsPrefix => Filter("s like \"%abc\""),
        Fault::IntLiteralWraps => Filter("i8 == 261"),
        Fault::ArrayIndexShifted => Filter("numbers[1] == 3"),
        Fault::ArrayLengthOffByOne => Filter("array_length(numbers) == 3"),
        Fault::ContainsAnyMeansAll => Filter("array_contains_any(words, [\"x\", \"z\"])"),
        Fault::AndOrSwapped => Filter("(id == 1 and i8 == 5) or id == 4"),
        Fault::DeMorganForgotten => Filter("not (i8 == 5 and id == 2)"),
        Fault::ConstantFirstNotMirrored => Filter("6 < i8"),
        Fault::CaseInsensitiveStrings => Filter("key == \"word\""),
        Fault::JsonStringIsNumber => Filter("j[\"s\"] == 10"),
        Fault::JsonIntIsDouble => Filter("j[\"big\"] == 9007199254740993"),
        Fault::NullMatchesDefault => Filter("i8 == 0"),
        Fault::DynamicKeyIgnored => Filter("n > 0"),
        Fault::OperatorRejected => Filter("s like \"a%\""),
        Fault::HangOnModulo => Filter("i8 % 2 == 1"),
        Fault::CrashOnDivision => Filter("i8 / 2 == 2"),
        Fault::DiesInQuery => Filter("id == 1"),
        Fault::TypeErrorAccepted
        | Fault::TruncateAtHundred
        | Fault::OffsetIgnored
        | Fault::CountOffByOne
        | Fault::LostInsert
        | Fault::StaleAfterUpsert
        | Fault::LostDelete
        // In the campaign of `selftest`: they take a history, or a search.
        | Fault::FlushLosesLast
        | Fault::FlushRevivesDeleted
        | Fault::DeleteOfFlushedLost
        | Fault::UpsertOfFlushedLost
        | Fault::CompactionRevivesDeleted
        | Fault::CompactionUndoesUpserts
        | Fault::WriteAfterCompactionLost
        | Fault::ReloadRevivesDeletedFlushed
        | Fault::ReloadUndoesUpserts
        | Fault::ReleasedForGood
        | Fault::RestartLosesLastWrite
        | Fault::UpsertIsTorn
        | Fault::RestartLosesUnflushed
        | Fault::IndexForgetsNegatives
        | Fault::IndexIsStale
        | Fault::AgainInsertedIsHidden
        | Fault::RecreatedKeepsRows
        | Fault::PartitionsIgnored
        | Fault::AddedFieldLacksDefault
        | Fault::AddedFieldMissesFlushed
        | Fault::AlteredAliasStays
        | Fault::RebuiltIndexLacksLast
        | Fault::RangeFilterIgnored
        | Fault::GroupsAreLast
        | Fault::DroppedPartitionKeepsRows
        | Fault::AnswersAreCached
        | Fault::DeleteWhereDeletesOne
        | Fault::IterationSkips
        | Fault::SearchMissesNearest
        | Fault::SearchIgnoresFilter
        | Fault::SearchScoresAreRoots
        | Fault::CosineIsProduct
        | Fault::TemplateListLosesLast
        // In the tests of the client.
        | Fault::OptionsForgotten
        | Fault::PartialUpsertForgets
        | Fault::SessionForgotten
        // In `types`.
        | Fault::VectorComponentOff
        | Fault::SparseEntryLost
        | Fault::HalfSubnormalLost
        | Fault::TimestampInMilliseconds
        | Fault::GeometryWithoutFractions
        | Fault::StructsReversed
        | Fault::ThresholdOffByOne
        | Fault::DefaultNotApplied
        | Fault::PartitionKeyRowsLost
        | Fault::AssignedKeysReversed
        | Fault::DiesInCreate
        | Fault::DiesInLoad
        | Fault::DiesInInsert => Own,
    }
}

fn turned(switch: Switch) -> Witness {
    use Witness::{Filter, Own};
    match switch {
        Switch::NotUnknownIsTrue => Filter("not (i8 == 5)"),
        Switch::NullInListIsFalse => Filter("i8 not in [5]"),
        Switch::NullInEmptyListIsUnknown => Filter("i8 not in []"),
        Switch::JsonMissingInListIsUnknown => Filter("j[\"a\"] not in [1]"),
        Switch::NullContainsIsFalse => Filter("not array_contains(numbers, 2)"),
        Switch::NullLengthIsZero => Filter("array_length(numbers) == 0"),
        Switch::FloatComparesAsDouble => Filter("f == 0.1"),
        Switch::FloatInListAsDouble => Filter("f in [0.1]"),
        Switch::FloatComputesAsDouble => Filter("f + 0.1 > 0.2"),
        Switch::IntDivisionIsReal => Filter("i16 / 2 == -3"),
        Switch::JsonMissingIsUnknown => Filter("j[\"a\"] != 1"),
        Switch::JsonMismatchIsUnknown => Filter("not (j[\"a\"] < 1)"),
        Switch::JsonArithmeticMismatchIsUnknown => Filter("(j[\"a\"] + 1) != 2"),
        Switch::JsonProductRepeats => Filter("not ((j[\"a\"] * 2) < 2)"),
        Switch::BooleansInListAreRefused => Filter("json_contains_any(j[\"l\"], [true, 1])"),
        Switch::JsonBoolIsNumber => Filter("j[\"t\"] == 1"),
        Switch::JsonNumberAsDouble => Filter("j[\"big\"] == 9007199254740992.0"),
        Switch::ExistsOnNull => Filter("exists j[\"n\"]"),
        Switch::ExistsOnEmpty => Filter("exists j[\"e\"]"),
        Switch::OutOfRangeIsUnknown => Filter("not (numbers[1] == 2)"),
        Switch::LikeBackslashIsLiteral => Filter("s like \"a\\\\%c\""),
        Switch::LikeAffixKeepsBackslashes => Filter("s like \"%\\\\b%\""),
        Switch::LikeUnderscoreIsLiteral => Filter("s like \"a_c\""),
        Switch::LikeEmptyMatchesAll => Filter("s like \"\""),
        Switch::LikeTrailingWildcardsArePrefix => Filter("s like \"a_\""),
        Switch::LikeUnderscoreIsByte => Filter("s like \"_本\""),
        Switch::EscapesAreDropped => Filter("key < \"Wo\\t\""),
        Switch::ContainsTruncatesElements => Filter("array_contains(halves, 2)"),
        Switch::JsonContainsIntMissesDouble => Filter("json_contains(j[\"d\"], 1)"),
        Switch::JsonArrayIntMissesDouble => Filter("j[\"d\"] == [1]"),
        Switch::ReversedEqualityIsNegated => Filter("5 == i8"),
        Switch::DescendingRangeSwapsBounds => Filter("7 >= i8 > 5"),
        Switch::NarrowArithmeticWraps => Filter("(i8 * i8) > 0 and i8 == -44"),
        Switch::ModuloIsRounded => Filter("i64 % 2 == 1"),
        Switch::NumbersCompareExactly => Filter("(d + 9007199254740983) == 9007199254740993"),
        Switch::InexactConversionIsRefused => Filter("d > 9007199254740993"),
        Switch::MixedNumbersAreRefused => Filter("array_contains_any(halves, [1, 2.5])"),
        Switch::ContainerInListIsRefused => Filter("j[\"l\"] not in [7]"),
        Switch::KeyListRepeatsRows => Filter("id in [1, 1]"),
        // In `types`.
        Switch::MatchAllOfNoneIsFalse
        | Switch::KeyListIgnoresPage
        | Switch::NullTextMatchIsFalse
        | Switch::NullSpatialIsFalse
        | Switch::SpatialBoundaryIsInside
        | Switch::SpatialDistanceIsPlanar
        | Switch::DeadRowsAreComputed
        | Switch::OrPrunesPartitions
        | Switch::UpsertPartitionsByPrimaryKey
        | Switch::UpsertKeepsOmittedDefaults
        | Switch::CountIgnoresPartitions
        | Switch::DeleteIgnoresPartition
        | Switch::UpsertKeepsDynamicKeys => Own,
    }
}

#[tokio::test]
async fn faults_of_reads_show_in_their_answers() {
    let mut healthy = Fixture::filled(&[]).await;
    for fault in Fault::all() {
        let filter = match witness(fault) {
            Witness::Filter(filter) => filter,
            Witness::Values => "id > 0",
            Witness::Own => continue,
        };
        let expected = expected(filter).unwrap_or_else(|| panic!("{fault}: {filter}"));
        assert_eq!(healthy.keys(filter).await, expected, "{fault}");

        let mut faulty = Fixture::filled(&[fault]).await;
        let answer = faulty.query(filter).await;
        match (fault, witness(fault), answer) {
            (Fault::OperatorRejected, _, answer) => assert_eq!(answer, Answer::Error(1100)),
            (Fault::HangOnModulo, _, answer) => assert_eq!(answer, Answer::Silence),
            (Fault::CrashOnDivision | Fault::DiesInQuery, _, answer) => {
                assert_eq!(answer, Answer::Broken);
                assert_gone(faulty).await;
            }
            (_, Witness::Values, Answer::Rows(rows)) => {
                assert_eq!(rows.iter().map(key).collect::<Vec<_>>(), expected, "{fault}");
                assert_ne!(rows, models(), "{fault}");
            }
            (_, _, Answer::Rows(rows)) => {
                assert_ne!(rows.iter().map(key).collect::<Vec<_>>(), expected, "{fault}");
            }
            (fault, _, answer) => panic!("{fault}: {answer:?}"),
        }
    }
}

/// The server has ended by itself, and nothing listens any more.
async fn assert_gone(Fixture { engine, .. }: Fixture) {
    for _ in 0..100 {
        if !engine.is_running() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!engine.is_running());
    assert!(connect(&engine).await.is_err());
}

#[tokio::test]
async fn an_unrepeatable_fault_does_not_repeat() {
    let mut fixture = Fixture::filled(&[Fault::UnrepeatableDrop]).await;
    assert_eq!(fixture.keys("id > 2").await, [3, 4]);
    assert_eq!(fixture.keys("id > 2").await, [3, 4, 5]);
    assert_eq!(fixture.keys("id > 2").await, [3, 4]);
}

#[tokio::test]
async fn mistyped_filters_are_accepted() {
    let mut fixture = Fixture::filled(&[Fault::TypeErrorAccepted]).await;
    assert_eq!(fixture.query("id == 'one'").await, Answer::Rows(Vec::new()));
    assert_eq!(fixture.query("id >").await, Answer::Error(1100));
}

#[tokio::test]
async fn a_result_is_truncated() {
    let many = |mut row: Json| {
        let row = move |id: i64| {
            row["id"] = id.into();
            row.clone()
        };
        (1..=120).map(row).collect::<Vec<_>>()
    };
    for (faults, rows) in [(&[][..], 120), (&[Fault::TruncateAtHundred], 100)] {
        let mut fixture = Fixture::filled(faults).await;
        fixture.insert(many(super::rows().remove(0))).await.unwrap();
        assert_eq!(fixture.keys("i8 == 5").await.len(), rows);
    }
}

#[tokio::test]
async fn a_page_of_keys_is_the_whole_answer() {
    for (faults, rows) in [(&[][..], 0), (&[Fault::Turned(Switch::KeyListIgnoresPage)], 1)] {
        let mut fixture = Fixture::filled(faults).await;
        let page = fixture.page("id in [1]", &[("offset", "1"), ("limit", "1")]).await;
        assert_eq!(page, Answer::Rows(models()[..rows].to_vec()));
    }
}

#[tokio::test]
async fn an_offset_is_ignored() {
    let mut fixture = Fixture::filled(&[Fault::OffsetIgnored]).await;
    let page = fixture.page("id > 0", &[("offset", "2"), ("limit", "1")]).await;
    assert_eq!(page, Answer::Rows(models()[..1].to_vec()));
}

#[tokio::test]
async fn a_count_is_wrong() {
    let mut fixture = Fixture::filled(&[Fault::CountOffByOne]).await;
    assert_eq!(fixture.count("id > 2").await, Answer::Count(4));
}

#[tokio::test]
async fn writes_are_lost() {
    let mut fixture = Fixture::filled(&[Fault::LostInsert]).await;
    assert_eq!(fixture.keys("").await, [1, 2, 3, 4]);

    let mut fixture = Fixture::filled(&[Fault::StaleAfterUpsert]).await;
    let mut row = rows()[2].clone();
    row["s"] = "new".into();
    assert_eq!(fixture.upsert(vec![row]).await.unwrap(), 1);
    assert_eq!(fixture.query("").await, Answer::Rows(models()));

    let mut fixture = Fixture::filled(&[Fault::LostDelete]).await;
    assert_eq!(fixture.delete("id < 3").await.unwrap(), 2);
    assert_eq!(fixture.query("").await, Answer::Rows(models()));
}

#[tokio::test]
async fn an_upsert_merges_dynamic_keys() {
    for (faults, keys) in [(&[][..], 0), (&[Fault::Turned(Switch::UpsertKeepsDynamicKeys)], 1)] {
        let mut fixture = Fixture::filled(faults).await;
        let mut row = rows()[0].clone();
        row["$meta"] = json!({"n": 1});
        fixture.upsert(vec![row]).await.unwrap();
        assert_eq!(fixture.keys("id == 1 and key == \"Word\"").await.len(), keys);
        assert_eq!(fixture.keys("id == 1 and n == 1").await, [1]);
    }
}

#[tokio::test]
async fn the_server_dies_in_the_phase_it_was_told_to() {
    let fixture = Fixture::start(&[Fault::DiesInCreate]).await;
    assert!(fixture.create().await.is_err());
    assert_gone(fixture).await;

    let fixture = Fixture::start(&[Fault::DiesInLoad]).await;
    fixture.create().await.unwrap();
    assert!(fixture.load().await.is_err());
    assert_gone(fixture).await;

    let fixture = Fixture::start(&[Fault::DiesInInsert]).await;
    fixture.create().await.unwrap();
    fixture.load().await.unwrap();
    assert!(fixture.insert(rows()).await.is_err());
    assert_gone(fixture).await;
}

#[tokio::test]
async fn faults_add_up() {
    let mut fixture = Fixture::filled(&[Fault::LessThanIncludesEqual, Fault::DropLastMatch]).await;
    assert_eq!(expected("i8 < 7").unwrap(), [1, 4]);
    assert_eq!(fixture.keys("i8 < 7").await, [1, 2]);
}
