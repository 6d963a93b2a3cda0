//! What a simulated Milvus can be told to do wrong.

use std::fmt;
use std::str::FromStr;

use crate::filter::Switch;

/// Declares the faults; the documentation of each is also its description at run time.
macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// One way of being wrong. Every fault is deterministic: the same calls in the same order
        /// meet the same wrong answers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[doc = $doc])+ $variant,)+
            /// A rule of the filter language is taken otherwise than documented.
            Turned(Switch),
        }

        impl Fault {
            /// Every fault, the turned switches last.
            pub fn all() -> impl Iterator<Item = Fault> {
                let own = [$(Fault::$variant,)+];
                own.into_iter().chain(Switch::ALL.iter().copied().map(Fault::Turned))
            }

            /// The name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$variant => $name,)+
                    Fault::Turned(switch) => switch.name(),
                }
            }

            /// What goes wrong, in one sentence.
            pub fn description(self) -> String {
                match self {
                    $(Fault::$variant => concat!($($doc),+).trim_ascii().to_owned(),)+
                    Fault::Turned(switch) => {
                        format!("Not as documented ({}): {}.", switch.canonical(), switch.turned())
                    }
                }
            }
        }
    };
}

faults! {
    /// The last matching row is missing when at least two match.
    DropLastMatch = "drop-last-match",
    /// The first matching row comes back twice when at least two match.
    DuplicateRow = "duplicate-row",
    /// Rows beyond the hundredth match are left out without a word.
    TruncateAtHundred = "truncate-at-hundred",
    /// The last matching row is missing from every other query, starting with the first.
    UnrepeatableDrop = "unrepeatable-drop",
    /// The offset of a query is ignored.
    OffsetIgnored = "offset-ignored",
    /// `count(*)` is one too high.
    CountOffByOne = "count-off-by-one",

    /// One value of the first returned row is altered.
    WrongValue = "wrong-value",
    /// Nulls come back as zero, false, or empty.
    NullBecomesDefault = "null-becomes-default",
    /// FLOAT values come back one unit in the last place away from what was stored.
    FloatOutputDrifts = "float-output-drifts",
    /// The last component of every dense vector comes back off by the least that there is.
    VectorComponentOff = "vector-component-off",
    /// The last entry of a sparse vector of at least two is lost.
    SparseEntryLost = "sparse-entry-lost",
    /// Subnormal numbers of FLOAT16 vectors come back as zero.
    HalfSubnormalLost = "half-subnormal-lost",
    /// TIMESTAMPTZ values come back in whole milliseconds.
    TimestampInMilliseconds = "timestamp-in-milliseconds",
    /// Coordinates of GEOMETRY values come back without their fractions.
    GeometryWithoutFractions = "geometry-without-fractions",
    /// Structs of an array come back in the opposite order.
    StructsReversed = "structs-reversed",

    /// The last row of an insert of at least two is acknowledged and not stored.
    LostInsert = "lost-insert",
    /// A collection has one shard, strong consistency and one replica, the indexes of its vectors no
    /// parameters, and scalars no index, whatever was asked for.
    OptionsForgotten = "options-forgotten",
    /// A field with a default that a row leaves out is zero, false, or empty instead.
    DefaultNotApplied = "default-not-applied",
    /// The rows of one partition are missing where there is a partition key.
    PartitionKeyRowsLost = "partition-key-rows-lost",
    /// Assigned keys are reported in the opposite order.
    AssignedKeysReversed = "assigned-keys-reversed",
    /// An upsert of a key that exists keeps the old row.
    StaleAfterUpsert = "stale-after-upsert",
    /// A delete is acknowledged and removes nothing.
    LostDelete = "lost-delete",
    /// What a partial upsert leaves out is null, zero, false, or empty from then on.
    PartialUpsertForgets = "partial-upsert-forgets",

    /// The last row of at least two is lost in a flush.
    FlushLosesLast = "flush-loses-last",
    /// Rows that were deleted are back after a flush.
    FlushRevivesDeleted = "flush-revives-deleted",
    /// A row that was flushed cannot be deleted.
    DeleteOfFlushedLost = "delete-of-flushed-lost",
    /// A row that was flushed cannot be replaced.
    UpsertOfFlushedLost = "upsert-of-flushed-lost",
    /// Rows that were deleted are back after a compaction.
    CompactionRevivesDeleted = "compaction-revives-deleted",
    /// Rows that were replaced are as they were before after a compaction.
    CompactionUndoesUpserts = "compaction-undoes-upserts",
    /// The first new row of a write after a compaction is lost.
    WriteAfterCompactionLost = "write-after-compaction-lost",
    /// Rows that were deleted after they were flushed are back when the collection is loaded again.
    ReloadRevivesDeletedFlushed = "reload-revives-deleted-flushed",
    /// Rows that were replaced are as they were before when the collection is loaded again.
    ReloadUndoesUpserts = "reload-undoes-upserts",
    /// A collection with rows cannot be loaded again once it is released.
    ReleasedForGood = "released-for-good",
    /// The last write is lost in a restart.
    RestartLosesLastWrite = "restart-loses-last-write",
    /// What was inserted after the last flush is lost in a restart.
    RestartLosesUnflushed = "restart-loses-unflushed",
    /// An upsert deletes what it replaces long before it writes: a kill in between loses the rows.
    UpsertIsTorn = "upsert-is-torn",
    /// Negative numbers and empty strings are not found in a field with an index.
    IndexForgetsNegatives = "index-forgets-negatives",
    /// Rows that are written after a field was indexed are not found by it.
    IndexIsStale = "index-is-stale",
    /// A row that was deleted and inserted again is not found by filters.
    AgainInsertedIsHidden = "again-inserted-is-hidden",
    /// A collection that is dropped and created again under its name has its rows again.
    RecreatedKeepsRows = "recreated-keeps-rows",
    /// A question about some partitions is answered about all of them.
    PartitionsIgnored = "partitions-ignored",
    /// The rows of a partition that is dropped are in the default one afterwards.
    DroppedPartitionKeepsRows = "dropped-partition-keeps-rows",
    /// An alias that is pointed to another collection stays where it was.
    AlteredAliasStays = "altered-alias-stays",
    /// A field that is added is null in the rows that are there, whatever its default value.
    AddedFieldLacksDefault = "added-field-lacks-default",
    /// Predicates on a field that was added are false on the rows that were flushed before.
    AddedFieldMissesFlushed = "added-field-misses-flushed",
    /// A vector's index that is made anew has not got the last row.
    RebuiltIndexLacksLast = "rebuilt-index-lacks-last",
    /// The inner bound of a search in a range is ignored.
    RangeFilterIgnored = "range-filter-ignored",
    /// A search for the nearest of each group returns the last of each.
    GroupsAreLast = "groups-are-last",
    /// A filter that was asked before is answered as it was then.
    AnswersAreCached = "answers-are-cached",
    /// A deletion by a filter that is no list of keys deletes one row.
    DeleteWhereDeletesOne = "delete-where-deletes-one",
    /// Each batch of an iteration but the last leaves out its first row.
    IterationSkips = "iteration-skips",
    /// A search leaves out the nearest row.
    SearchMissesNearest = "search-misses-nearest",
    /// A search returns rows that its filter rules out.
    SearchIgnoresFilter = "search-ignores-filter",
    /// The scores of a search are distances, not their squares.
    SearchScoresAreRoots = "search-scores-are-roots",

    /// Nearness by COSINE does not take lengths into account.
    CosineIsProduct = "cosine-is-product",
    /// The last element of a list of at least two is ignored if the list is sent beside the filter.
    TemplateListLosesLast = "template-list-loses-last",

    /// A read with session consistency does not wait for the session's own writes.
    SessionForgotten = "session-forgotten",

    /// `<` is read as `<=`.
    LessThanIncludesEqual = "less-than-includes-equal",
    /// The last element of a list of at least two is ignored.
    InIgnoresLast = "in-ignores-last",
    /// A LIKE pattern that starts with `%` matches prefixes instead.
    LikePercentIsPrefix = "like-percent-is-prefix",
    /// A literal outside the range of an INT8, INT16, or INT32 column wraps around.
    IntLiteralWraps = "int-literal-wraps",
    /// The array index i reads the element i + 1.
    ArrayIndexShifted = "array-index-shifted",
    /// `array_length` is one too high.
    ArrayLengthOffByOne = "array-length-off-by-one",
    /// The thresholds of `match_least`, `match_most` and `match_exact` are one too high.
    ThresholdOffByOne = "threshold-off-by-one",
    /// The `contains_any` functions ask for all elements.
    ContainsAnyMeansAll = "contains-any-means-all",
    /// `(a and b) or c` is read as `a and (b or c)`.
    AndOrSwapped = "and-or-swapped",
    /// `not (a and b)` is read as `not a and not b`, and the same for `or`.
    DeMorganForgotten = "de-morgan-forgotten",
    /// `1 < a` is read as `a < 1`, and the same for the other orderings.
    ConstantFirstNotMirrored = "constant-first-not-mirrored",

    /// Strings compare without regard to ASCII case.
    CaseInsensitiveStrings = "case-insensitive-strings",
    /// JSON strings that look like numbers compare as numbers.
    JsonStringIsNumber = "json-string-is-number",
    /// JSON integers compare as doubles.
    JsonIntIsDouble = "json-int-is-double",
    /// In filters, a null scalar column is zero, false, or empty.
    NullMatchesDefault = "null-matches-default",
    /// In filters, every dynamic key is missing.
    DynamicKeyIgnored = "dynamic-key-ignored",

    /// `like` is refused with an error.
    OperatorRejected = "operator-rejected",
    /// A filter whose types do not fit returns no rows instead of an error.
    TypeErrorAccepted = "type-error-accepted",

    /// A query that uses `%` is never answered.
    HangOnModulo = "hang-on-modulo",
    /// A query that divides brings the server down.
    CrashOnDivision = "crash-on-division",
    /// The server goes down when a collection is created.
    DiesInCreate = "dies-in-create",
    /// The server goes down when a collection is loaded.
    DiesInLoad = "dies-in-load",
    /// The server goes down when rows are inserted.
    DiesInInsert = "dies-in-insert",
    /// The server goes down at the first query.
    DiesInQuery = "dies-in-query",
}

impl Fault {
    /// Whether campaigns make the calls in which it shows. The client makes more.
    pub fn is_of_campaigns(self) -> bool {
        !matches!(self, Fault::OptionsForgotten)
    }

    /// The size of the smallest case in which it shows: operations, rows, fields beside key and
    /// vectors, and nodes of filters, in all. `None` where that is not known for certain.
    pub fn smallest(self) -> Option<usize> {
        use Fault::{
            AddedFieldLacksDefault, AddedFieldMissesFlushed, AlteredAliasStays,
            ArrayLengthOffByOne, AssignedKeysReversed, CaseInsensitiveStrings,
            CompactionRevivesDeleted, CompactionUndoesUpserts, ConstantFirstNotMirrored,
            ContainsAnyMeansAll, CosineIsProduct, DefaultNotApplied, DeleteOfFlushedLost,
            DropLastMatch, DroppedPartitionKeepsRows, DuplicateRow, FloatOutputDrifts,
            FlushLosesLast, FlushRevivesDeleted, GeometryWithoutFractions, HalfSubnormalLost,
            InIgnoresLast, IntLiteralWraps, JsonIntIsDouble, JsonStringIsNumber,
            LessThanIncludesEqual, LikePercentIsPrefix, LostDelete, LostInsert, NullBecomesDefault,
            OperatorRejected, PartitionKeyRowsLost, PartitionsIgnored, RangeFilterIgnored,
            RebuiltIndexLacksLast, RecreatedKeepsRows, ReleasedForGood,
            ReloadRevivesDeletedFlushed, ReloadUndoesUpserts, RestartLosesLastWrite,
            RestartLosesUnflushed, SearchMissesNearest, SearchScoresAreRoots, SparseEntryLost,
            StaleAfterUpsert, StructsReversed, TimestampInMilliseconds, TruncateAtHundred,
            UpsertOfFlushedLost, VectorComponentOff, WriteAfterCompactionLost, WrongValue,
        };
        Some(match self {
            // One row with a vector is inserted.
            WrongValue | VectorComponentOff | SparseEntryLost | HalfSubnormalLost
            | SearchScoresAreRoots | CosineIsProduct | RangeFilterIgnored => 2,
            // One row with a field, or two rows without; or a row and what befalls it.
            NullBecomesDefault
            | FloatOutputDrifts
            | TimestampInMilliseconds
            | GeometryWithoutFractions
            | StructsReversed
            | DefaultNotApplied
            | PartitionKeyRowsLost => 3,
            DropLastMatch | DuplicateRow | LostInsert | AssignedKeysReversed
            | SearchMissesNearest => 3,
            PartitionsIgnored
            | RebuiltIndexLacksLast
            | LostDelete
            | RecreatedKeepsRows
            | WriteAfterCompactionLost
            | ReleasedForGood
            | RestartLosesLastWrite => 3,
            // `id like "a%"` on no row.
            OperatorRejected => 3,
            // An insert and an upsert, or two rows and a flush, or a row, its deletion and a step.
            StaleAfterUpsert
            | Fault::Turned(Switch::DeleteIgnoresPartition)
            | DroppedPartitionKeepsRows
            | AddedFieldLacksDefault
            | AlteredAliasStays
            | FlushLosesLast
            | FlushRevivesDeleted
            | DeleteOfFlushedLost
            | CompactionRevivesDeleted => 4,
            UpsertOfFlushedLost
            | CompactionUndoesUpserts
            | ReloadUndoesUpserts
            | ReloadRevivesDeletedFlushed => 5,
            // One row, and three nodes about its key: `id < 0`.
            LessThanIncludesEqual
            | LikePercentIsPrefix
            | ConstantFirstNotMirrored
            | CaseInsensitiveStrings => 5,
            // An insert, a flush, an insert, the end.
            RestartLosesUnflushed => 6,
            InIgnoresLast | IntLiteralWraps | JsonStringIsNumber | JsonIntIsDouble => 6,
            ArrayLengthOffByOne | ContainsAnyMeansAll => 7,
            // An insert, a flush, a field, and `n is null`.
            AddedFieldMissesFlushed => 7,
            TruncateAtHundred => 102,
            _ => return None,
        })
    }

    /// The remote procedure that this fault does not survive, if it is one of those.
    pub(super) fn fatal_call(self) -> Option<&'static str> {
        match self {
            Fault::DiesInCreate => Some("CreateCollection"),
            Fault::DiesInLoad => Some("LoadCollection"),
            Fault::DiesInInsert => Some("Insert"),
            Fault::DiesInQuery => Some("Query"),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Fault, UnknownFault> {
        let mut faults = Fault::all().filter(|fault| fault.is_of_campaigns());
        let fault = faults.find(|fault| fault.name() == name);
        fault.ok_or_else(|| UnknownFault(name.chars().take(40).collect()))
    }
}

/// A name that no fault of campaigns has; the message lists those that exist.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown fault '{0}': expected one of {names}", names = names())]
pub struct UnknownFault(String);

fn names() -> String {
    let faults = Fault::all().filter(|fault| fault.is_of_campaigns());
    let names: Vec<_> = faults.map(Fault::name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_round_trip_through_their_names() {
        for fault in Fault::all() {
            let parsed = fault.is_of_campaigns().then_some(fault);
            assert_eq!(fault.name().parse::<Fault>().ok(), parsed);
            let description = fault.description();
            assert!(description.ends_with('.') && !description.contains("  "), "{description}");
        }
        let error = "no-such-fault".parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains("'no-such-fault'") && error.contains("drop-last-match, "));
    }
}
