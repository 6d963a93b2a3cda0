//! The rules on which Milvus versions and engines are known to differ, as named switches.
//!
//! [`Semantics::canonical`] is what the documentation of Milvus 2.6/3.x says; every expected answer
//! is computed with it. A switch that is turned makes the model answer as some engine is known to:
//! it explains findings that are known already, and tests the tester, which must catch a simulated
//! engine with any of them turned.

use std::fmt;
use std::str::FromStr;

macro_rules! switches {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal {
        canonical: $canonical:literal,
        turned: $turned:literal,
        source: $source:literal,
        example: $example:literal,
    })+) => {
        /// One rule. The variants are named after what an engine does that turns it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Switch {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Switch {
            /// Every switch.
            pub const ALL: &'static [Switch] = &[$(Switch::$variant),+];

            /// The name in files and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Switch::$variant => $name),+ }
            }

            /// What the documentation says; or, where it is silent, what Milvus 2.6/3.x does.
            pub const fn canonical(self) -> &'static str {
                match self { $(Switch::$variant => $canonical),+ }
            }

            /// What an engine does that turns the switch.
            pub const fn turned(self) -> &'static str {
                match self { $(Switch::$variant => $turned),+ }
            }

            /// Where the canonical value is said.
            pub const fn source(self) -> &'static str {
                match self { $(Switch::$variant => $source),+ }
            }

            /// A filter and a value that tell the two apart.
            pub const fn example(self) -> &'static str {
                match self { $(Switch::$variant => $example),+ }
            }
        }
    };
}

switches! {
    /// `not` of unknown is true.
    NotUnknownIsTrue "not-unknown-is-true" {
        canonical: "not of unknown is unknown",
        turned: "not of unknown is true",
        source: "documentation, Nullable & Default",
        example: "not (n == 5) on n = null",
    }
    /// `in` on a null is false.
    NullInListIsFalse "null-in-list-is-false" {
        canonical: "a null column under in and not in is unknown",
        turned: "in is false on null, and not in is true",
        source: "documentation, Nullable & Default",
        example: "n not in [1] on n = null",
    }
    /// `in []` on a null is unknown.
    NullInEmptyListIsUnknown "null-in-empty-list-is-unknown" {
        canonical: "in [] is false and not in [] is true, also on a null or a missing key",
        turned: "they are unknown",
        source: "server, TermExpr",
        example: "n not in [] on n = null",
    }
    /// `in` on a missing JSON key is unknown.
    JsonMissingInListIsUnknown "json-missing-in-list-is-unknown" {
        canonical: "in on a missing or null JSON key is false, and not in is true",
        turned: "they are unknown",
        source: "server, TermExpr",
        example: "x not in [1] on {}",
    }
    /// The contains family is false on a null.
    NullContainsIsFalse "null-contains-is-false" {
        canonical: "a null array under the contains family is unknown",
        turned: "it is false",
        source: "documentation, Nullable & Default",
        example: "not (array_contains(a, 1)) on a = null",
    }
    /// `array_length` of a null is 0.
    NullLengthIsZero "null-length-is-zero" {
        canonical: "array_length of a null is unknown",
        turned: "it is 0",
        source: "documentation, Nullable & Default",
        example: "array_length(a) == 0 on a = null",
    }
    /// FLOAT columns are compared as doubles.
    FloatComparesAsDouble "float-compares-as-double" {
        canonical: "a literal compared with a FLOAT column is rounded to 32 bits",
        turned: "the column is widened to 64 bits",
        source: "milvus#47994",
        example: "f == 0.1 on f = 0.1",
    }
    /// FLOAT columns are looked up in lists as doubles.
    FloatInListAsDouble "float-in-list-as-double" {
        canonical: "the elements of a list after in are rounded to 32 bits for a FLOAT column",
        turned: "the column is widened to 64 bits",
        source: "milvus#47994",
        example: "f in [0.1] on f = 0.1",
    }
    /// Arithmetic on FLOAT columns is done in doubles.
    FloatComputesAsDouble "float-computes-as-double" {
        canonical: "arithmetic on a FLOAT column is done in 32 bits",
        turned: "it is done in 64 bits",
        source: "milvus#47994",
        example: "f + 0.1 == 0.2 on f = 0.1",
    }
    /// `/` between integers is a real division.
    IntDivisionIsReal "int-division-is-real" {
        canonical: "division of integers truncates towards zero",
        turned: "it gives a fraction",
        source: "documentation, Basic Operators; C++ semantics of the server",
        example: "i / 2 == 3 on i = 7",
    }
    /// A missing or null JSON key is unknown.
    JsonMissingIsUnknown "json-missing-is-unknown" {
        canonical: "a missing or null JSON key is false under == < <= > >= and true under !=",
        turned: "it is unknown",
        source: "milvus#47164; server, UnaryExpr",
        example: "j[\"k\"] != 1 on {}",
    }
    /// An ordering between different JSON types is unknown.
    JsonMismatchIsUnknown "json-mismatch-is-unknown" {
        canonical: "< <= > >= between a JSON value and a literal of another type are false",
        turned: "they are unknown",
        source: "milvus#47164; server, UnaryExpr",
        example: "not (j[\"k\"] < 1) on {\"k\": \"a\"}",
    }
    /// Arithmetic on JSON that is no number is unknown.
    JsonArithmeticMismatchIsUnknown "json-arithmetic-mismatch-is-unknown" {
        canonical: "arithmetic on JSON that is no number is false under == < <= > >= and true under !=",
        turned: "it is unknown",
        source: "server, BinaryArithOpEvalRangeExpr",
        example: "(j[\"k\"] + 1) != 2 on {\"k\": \"a\"}",
    }
    /// A JSON string or array times an integer is repeated.
    JsonProductRepeats "json-product-repeats" {
        canonical: "a JSON string or array times an integer is no number",
        turned: "it is repeated: it differs from every number, and has no order",
        source: "server, BinaryArithOpEvalRangeExpr",
        example: "(j[\"k\"] * 2) < 2 on {\"k\": \"a\"}",
    }
    /// JSON `true` is the number 1.
    JsonBoolIsNumber "json-bool-is-number" {
        canonical: "JSON true and false are no numbers",
        turned: "they are 1 and 0",
        source: "documentation, JSON Operators",
        example: "j[\"k\"] == 1 on {\"k\": true}",
    }
    /// JSON numbers are compared as doubles with a float literal.
    JsonNumberAsDouble "json-number-as-double" {
        canonical: "JSON numbers compare exactly",
        turned: "an integer is rounded to a double before it is compared with a float",
        source: "server 3.x, JsonNumberComparison",
        example: "j[\"k\"] == 9007199254740992.0 on {\"k\": 9007199254740993}",
    }
    /// `exists` is true on a JSON null.
    ExistsOnNull "exists-on-null" {
        canonical: "exists is false on a JSON null",
        turned: "it is true",
        source: "server since April 2025, ExistsExpr",
        example: "exists j[\"k\"] on {\"k\": null}",
    }
    /// `exists` is true on `{}` and `[]`.
    ExistsOnEmpty "exists-on-empty" {
        canonical: "exists is false on {} and []",
        turned: "it is true",
        source: "server since April 2025, ExistsExpr",
        example: "exists j[\"k\"] on {\"k\": []}",
    }
    /// An index out of range is unknown.
    OutOfRangeIsUnknown "out-of-range-is-unknown" {
        canonical: "a test of an array element that is not there is false",
        turned: "it is unknown",
        source: "server, UnaryExpr on Array::get_data",
        example: "not (a[9] == 1) on a = [1]",
    }
    /// `\` in a pattern is itself.
    LikeBackslashIsLiteral "like-backslash-is-literal" {
        canonical: "\\ in a LIKE pattern takes the next character literally",
        turned: "it is a backslash",
        source: "documentation, Pattern Matching; milvus, February 2025",
        example: "s like \"a\\\\%b\" on s = \"a%b\"",
    }
    /// What stands beside leading or trailing `%` is compared with its backslashes.
    LikeAffixKeepsBackslashes "like-affix-keeps-backslashes" {
        canonical: "\\ in a LIKE pattern takes the next character literally",
        turned: "not in a pattern that is a plain prefix, suffix or infix, whose text keeps its backslashes",
        source: "documentation, Pattern Matching",
        example: "s like \"%\\\\\\\\b\" on s = \"\\b\"",
    }
    /// `_` in a pattern is itself.
    LikeUnderscoreIsLiteral "like-underscore-is-literal" {
        canonical: "_ in a LIKE pattern is any one character",
        turned: "it is an underscore",
        source: "documentation, Pattern Matching",
        example: "s like \"a_%\" on s = \"abc\"",
    }
    /// `like ""` is true of every string.
    LikeEmptyMatchesAll "like-empty-matches-all" {
        canonical: "like \"\" is true of the empty string alone",
        turned: "it is true of every string",
        source: "documentation, Pattern Matching",
        example: "s like \"\" on s = \"a\"",
    }
    /// Wildcards at the end of a pattern all mean any run, and a pattern of wildcards alone is text.
    LikeTrailingWildcardsArePrefix "like-trailing-wildcards-are-prefix" {
        canonical: "_ in a LIKE pattern is one character wherever it stands, and % alone is any string",
        turned: "what ends in wildcards is a prefix, and a pattern of nothing else is compared as text",
        source: "documentation, Pattern Matching",
        example: "s like \"a_\" on s = \"abc\"",
    }
    /// `_` in a pattern is one byte.
    LikeUnderscoreIsByte "like-underscore-is-byte" {
        canonical: "_ in a LIKE pattern is any one character",
        turned: "it is any one byte of UTF-8",
        source: "documentation, Pattern Matching",
        example: "s like \"_a\" on s = \"éa\"",
    }
    /// `\n`, `\r` and `\t` in a string literal are the letters.
    EscapesAreDropped "escapes-are-dropped" {
        canonical: "\\n, \\r and \\t in a string literal are a line end, a return and a tab",
        turned: "the backslash is dropped, and the letter stays",
        source: "server, Plan.g4 (EscapeSequence)",
        example: "s == \"a\\nb\" on s = \"anb\"",
    }
    /// `text_match` and `phrase_match` are false on a null.
    NullTextMatchIsFalse "null-text-match-is-false" {
        canonical: "a null under text_match and phrase_match is unknown",
        turned: "they are false",
        source: "documentation, Nullable & Default",
        example: "not (text_match(s, \"a\")) on s = null",
    }
    /// The `st_` functions are false on a null.
    NullSpatialIsFalse "null-spatial-is-false" {
        canonical: "a null under the st_ functions is unknown",
        turned: "they are false",
        source: "documentation, Nullable & Default",
        example: "not (st_isvalid(g)) on g = null",
    }
    /// What touches the boundary alone is contained.
    SpatialBoundaryIsInside "spatial-boundary-is-inside" {
        canonical: "a geometry contains what has a point in its interior and none outside",
        turned: "it contains whatever has no point outside, on its boundary, too",
        source: "documentation, Geometry Operators; OGC Simple Features (DE-9IM)",
        example: "st_within(g, \"POLYGON ((0 0, 1 0, 1 1, 0 0))\") on g = POINT (0 0)",
    }
    /// `st_dwithin` takes its distance in the unit of the coordinates.
    SpatialDistanceIsPlanar "spatial-distance-is-planar" {
        canonical: "st_dwithin takes a distance in metres on the globe",
        turned: "it takes one in the plane, in the unit of the coordinates",
        source: "documentation, Geometry Operators",
        example: "st_dwithin(g, \"POINT (0 0)\", 1) on g = POINT (0.5 0)",
    }
    /// Elements of FLOAT and DOUBLE arrays are truncated before they are compared with an integer.
    ContainsTruncatesElements "contains-truncates-elements" {
        canonical: "array_contains compares elements of a FLOAT or DOUBLE array by their values",
        turned: "an integer literal is compared with the truncated element",
        source: "documentation, ARRAY Operators",
        example: "array_contains(a, 0) on a = [0.5]",
    }
    /// `json_contains` of an integer misses integral doubles.
    JsonContainsIntMissesDouble "json-contains-int-misses-double" {
        canonical: "json_contains compares numbers by their values",
        turned: "an integer literal is not found as 1.0",
        source: "server since October 2025, JsonContainsExpr",
        example: "json_contains(j[\"k\"], 1) on {\"k\": [1.0]}",
    }
    /// An integer in a list does not equal a double in a JSON array.
    JsonArrayIntMissesDouble "json-array-int-misses-double" {
        canonical: "an array in JSON equals a list if their numbers have the same values",
        turned: "an integer in the list does not equal 1.0",
        source: "documentation, JSON Operators; numbers compare by their values",
        example: "j[\"k\"] == [1] on {\"k\": [1.0]}",
    }
    /// `5 == a` means `a != 5`, and the other way round.
    ReversedEqualityIsNegated "reversed-equality-is-negated" {
        canonical: "a literal may come first: 5 == a is a == 5",
        turned: "5 == a is a != 5, and 5 != a is a == 5",
        source: "documentation, Basic Operators",
        example: "5 == a on a = 5",
    }
    /// `b >= a > c` takes the strictness of each bound from the other.
    DescendingRangeSwapsBounds "descending-range-swaps-bounds" {
        canonical: "4 >= a > 1 is a <= 4 and a > 1",
        turned: "it is a < 4 and a >= 1",
        source: "documentation, Basic Operators (range)",
        example: "4 >= a > 1 on a = 4",
    }
    /// Arithmetic between integer columns wraps around at their width.
    NarrowArithmeticWraps "narrow-arithmetic-wraps" {
        canonical: "arithmetic on integers is done in 64 bits",
        turned: "between columns it is done in the width of the wider one, and wraps around",
        source: "server, BinaryArithExpr (int64)",
        example: "i8 + i8 > 0 on i8 = 100",
    }
    /// `%` is computed in doubles.
    ModuloIsRounded "modulo-is-rounded" {
        canonical: "% is exact on integers",
        turned: "both operands are rounded to doubles first",
        source: "milvus, February 2025",
        example: "i % 2 == 1 on i = 9007199254740993",
    }
    /// An integer and a float are compared by their exact values.
    NumbersCompareExactly "numbers-compare-exactly" {
        canonical: "an integer beside a FLOAT or DOUBLE is converted to the nearest float of its type",
        turned: "they are compared by their exact values",
        source: "documentation, Basic Operators; C++ semantics of the server",
        example: "d == 9007199254740993 on d = 9007199254740992.0",
    }
    /// A comparison that would convert an integer to a float inexactly is refused.
    InexactConversionIsRefused "inexact-conversion-is-refused" {
        canonical: "an integer beside a float is converted to the nearest float",
        turned: "beyond 2^24 for FLOAT and 2^53 for DOUBLE the query is refused",
        source: "documentation, Basic Operators; C++ semantics of the server",
        example: "d > 9007199254740993",
    }
    /// A list that mixes integers and floats is refused.
    MixedNumbersAreRefused "mixed-numbers-are-refused" {
        canonical: "a list may mix integers and floats",
        turned: "the query is refused",
        source: "documentation, ARRAY Operators",
        example: "array_contains_any(a, [1, 2.5])",
    }
    /// `json_contains_all` and `json_contains_any` refuse booleans.
    BooleansInListAreRefused "booleans-in-list-are-refused" {
        canonical: "a list after json_contains_all and json_contains_any may hold booleans",
        turned: "the query is refused",
        source: "documentation, JSON Operators",
        example: "json_contains_any(j[\"k\"], [true])",
    }
    /// `in` on a dynamic key is refused when a row holds an array or an object there.
    ContainerInListIsRefused "container-in-list-is-refused" {
        canonical: "an array or an object under in is in no list of scalars",
        turned: "the query is refused because of that row",
        source: "documentation, JSON Operators",
        example: "x in [1] on {\"x\": [1]}",
    }
    /// `match_all` of an empty array of structs is false.
    MatchAllOfNoneIsFalse "match-all-of-none-is-false" {
        canonical: "match_all of an empty array of structs is true",
        turned: "it is false",
        source: "documentation, StructArray Operators",
        example: "match_all(st, $[i] > 0) on st = []",
    }
    /// `key in [1, 1]` returns the row twice.
    KeyListRepeatsRows "key-list-repeats-rows" {
        canonical: "a row matches a filter or does not, and is returned once",
        turned: "a filter that is nothing but key in [list] returns a row as often as the list has its key",
        source: "documentation, Query",
        example: "id in [1, 1] on id = 1",
    }
    /// A page of `key in [list]` is the whole answer.
    KeyListIgnoresPage "key-list-ignores-page" {
        canonical: "limit and offset cut a page out of the answer",
        turned: "a filter that is nothing but key in [list] ignores them",
        source: "documentation, Query",
        example: "id in [1] with offset 1 on id = 1",
    }
    /// A row that was deleted or replaced still makes a query fail.
    DeadRowsAreComputed "dead-rows-are-computed" {
        canonical: "a row that was deleted or replaced has no part in a query",
        turned: "a filter is still computed on it, and the query fails if that fails",
        source: "documentation, Delete Entities",
        example: "x in [1] after {\"x\": [1]} was deleted",
    }
    /// Beside `or`, only the partitions of the partition keys that are named are searched.
    OrPrunesPartitions "or-prunes-partitions" {
        canonical: "a filter finds the rows on which it is true, in whatever partition they are",
        turned: "p == 1 or id in [2] searches the partition of the key 1 alone",
        source: "documentation, Use Partition Key",
        example: "p == 1 or id in [2] on p = 5, id = 2",
    }
    /// An upserted row is kept in the partition of its primary key.
    UpsertPartitionsByPrimaryKey "upsert-partitions-by-primary-key" {
        canonical: "a row is found by its partition key, however it was written",
        turned: "an upsert puts it in the partition that its primary key hashes to",
        source: "documentation, Use Partition Key",
        example: "p == 5 after an upsert of {id: 1, p: 5}",
    }
    /// An upsert that leaves out a field with a default keeps the old value.
    UpsertKeepsOmittedDefaults "upsert-keeps-omitted-defaults" {
        canonical: "an upsert replaces the whole entity; a field with a default that it leaves out gets the default",
        turned: "the field keeps the value that the replaced entity had",
        source: "documentation, Upsert Entities (override mode) and Nullable & Default",
        example: "upsert {id: 1} over {id: 1, n: 7} where n has the default 5",
    }
    /// `count(*)` without a filter counts the rows of all partitions.
    CountIgnoresPartitions "count-ignores-partitions" {
        canonical: "count(*) counts the rows of the partitions that are named",
        turned: "without a filter it counts those of all partitions",
        source: "documentation, Query (Query in Partitions)",
        example: "count(*) in [a] on a row in b",
    }
    /// A deletion that names a partition deletes rows of others, too.
    DeleteIgnoresPartition "delete-ignores-partition" {
        canonical: "a deletion that names a partition deletes the rows in it",
        turned: "it deletes those of all partitions",
        source: "documentation, Delete Entities (Delete Entities from Partitions)",
        example: "delete where id in [1] in a on id = 1 in b",
    }
    /// An upsert keeps the dynamic keys that the new row has not got.
    UpsertKeepsDynamicKeys "upsert-keeps-dynamic-keys" {
        canonical: "an upsert replaces the whole entity",
        turned: "dynamic keys that the new entity lacks stay as they were",
        source: "documentation, Upsert Entities (override mode)",
        example: "upsert {id: 1} over {id: 1, x: 2}",
    }
}

impl Switch {
    /// Whether an engine that turns it refuses queries because of it.
    pub const fn refuses(self) -> bool {
        matches!(
            self,
            Switch::InexactConversionIsRefused
                | Switch::MixedNumbersAreRefused
                | Switch::BooleansInListAreRefused
                | Switch::ContainerInListIsRefused
                | Switch::DeadRowsAreComputed
        )
    }

    /// Whether it changes what filters are true of single rows: not what is refused, written, or
    /// done with the rows that match.
    pub const fn changes_truth(self) -> bool {
        !self.refuses()
            && !matches!(
                self,
                Switch::KeyListRepeatsRows
                    | Switch::KeyListIgnoresPage
                    | Switch::OrPrunesPartitions
                    | Switch::UpsertPartitionsByPrimaryKey
                    | Switch::UpsertKeepsOmittedDefaults
                    | Switch::UpsertKeepsDynamicKeys
                    | Switch::CountIgnoresPartitions
                    | Switch::DeleteIgnoresPartition
            )
    }

    const fn bit(self) -> u64 {
        1 << self as u32
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Switch {
    type Err = UnknownSwitch;

    fn from_str(name: &str) -> Result<Switch, UnknownSwitch> {
        let found = Switch::ALL.iter().find(|switch| switch.name() == name);
        found.copied().ok_or_else(|| UnknownSwitch(name.to_owned()))
    }
}

/// A name that no switch has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no semantic switch '{0}'; docs/semantics.md lists them")]
pub struct UnknownSwitch(String);

/// The switches that are turned.
///
/// ```
/// use milvus_difftest::filter::{Semantics, Switch};
/// let lite = Semantics::canonical().with(Switch::IntDivisionIsReal);
/// assert!(lite.has(Switch::IntDivisionIsReal));
/// assert_eq!(Semantics::canonical().switches().count(), 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Semantics(u64);

impl Semantics {
    /// What the documentation says: no switch is turned.
    pub const fn canonical() -> Semantics {
        Semantics(0)
    }

    /// With one more switch turned.
    #[must_use]
    pub const fn with(self, switch: Switch) -> Semantics {
        Semantics(self.0 | switch.bit())
    }

    /// With one switch at its canonical value.
    #[must_use]
    pub const fn without(self, switch: Switch) -> Semantics {
        Semantics(self.0 & !switch.bit())
    }

    /// Whether a switch is turned.
    pub const fn has(self, switch: Switch) -> bool {
        self.0 & switch.bit() != 0
    }

    /// The switches that are turned, in the order of [`Switch::ALL`].
    pub fn switches(self) -> impl Iterator<Item = Switch> {
        Switch::ALL.iter().copied().filter(move |switch| self.has(*switch))
    }
}

impl FromIterator<Switch> for Semantics {
    fn from_iter<I: IntoIterator<Item = Switch>>(switches: I) -> Semantics {
        switches.into_iter().fold(Semantics::canonical(), Semantics::with)
    }
}

// The switches are bits of one word.
const _: () = assert!(Switch::ALL.len() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_read_back() {
        for switch in Switch::ALL {
            assert_eq!(switch.name().parse(), Ok(*switch));
        }
        assert!("no-such".parse::<Switch>().is_err());
    }
}
