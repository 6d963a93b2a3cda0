//! The constructs, one a line.

use std::fmt;
use std::str::FromStr;

use super::operand::{Kind, Operand};
use crate::schema::Scalar;

/// What operands a construct takes. Each is the checker's rule for it, read backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// None: it is about the whole filter, or about constants.
    Nothing,
    /// Single values: columns, elements of arrays, places in JSON.
    Values,
    /// Those of them that have an order and are no booleans.
    Ranges,
    /// Numbers, and places in JSON.
    Numbers,
    /// Numbers that are no places in JSON.
    TypedNumbers,
    /// Integers.
    Integers,
    /// Integers, and places in JSON.
    IntegersAndJson,
    /// FLOAT and DOUBLE.
    Reals,
    /// FLOAT and DOUBLE, and places in JSON.
    RealsAndJson,
    /// Strings, and places in JSON.
    Texts,
    /// VARCHAR columns.
    TextColumns,
    /// BOOL columns.
    BoolColumns,
    /// Scalar columns, and TIMESTAMPTZ columns.
    Columns,
    /// Columns of numbers.
    NumberColumns,
    /// Columns of integers.
    IntegerColumns,
    /// Columns of integers and FLOAT.
    IntegerAndFloatColumns,
    /// Columns of integers and DOUBLE.
    IntegerAndDoubleColumns,
    /// FLOAT and DOUBLE columns.
    RealColumns,
    /// Places in JSON.
    Json,
    /// Whole ARRAY columns.
    Arrays,
    /// Whole ARRAY columns that may hold numbers below zero, and places in JSON.
    NegativeElements,
    /// Whole ARRAY columns, and places in JSON.
    ArraysAndJson,
    /// Whatever can be null: all but elements of arrays, and structs.
    Nullable,
    /// TIMESTAMPTZ columns.
    Timestamps,
    /// GEOMETRY columns.
    Geometries,
    /// Arrays of structs.
    Structs,
}

macro_rules! constructs {
    ($($variant:ident $name:literal $takes:ident $example:literal $doc:literal)+) => {
        /// One way to say something in a filter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Construct {
            $(#[doc = $doc] $variant,)+
        }

        impl Construct {
            /// Every construct.
            pub const ALL: &'static [Construct] = &[$(Construct::$variant),+];

            /// The name in dialects and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Construct::$variant => $name),+ }
            }

            /// What it is.
            pub const fn description(self) -> &'static str {
                match self { $(Construct::$variant => $doc),+ }
            }

            /// A filter that has it.
            pub const fn example(self) -> &'static str {
                match self { $(Construct::$variant => $example),+ }
            }

            const fn takes(self) -> Takes {
                match self { $(Construct::$variant => Takes::$takes),+ }
            }
        }
    };
}

constructs! {
    Equality "equality" Values "x == 1" "`==` or `!=` with a constant"
    Ordering "ordering" Values "x < 1" "`<`, `<=`, `>` or `>=` with a constant"
    ReversedEquality "reversed-equality" Values "1 == x" "`==` or `!=` with the constant first"
    ReversedOrdering "reversed-ordering" Values "1 < x" "an ordering with the constant first"
    RangeAscending "range-ascending" Ranges "1 < x <= 4" "a chained range from the lower bound"
    RangeDescending "range-descending" Ranges "4 >= x > 1" "a chained range from the upper bound"
    RangeIntForFloat "range-int-for-float" Reals "1 < f < 2.5" "an integer as a bound of floats"
    In "in" Values "x in [1, 2]" "a value in a list of constants"
    NotIn "not-in" Values "x not in [1, 2]" "a value not in a list of constants"
    InEmpty "in-empty" Values "x in []" "`in` or `not in` with an empty list"
    InIntForFloat "in-int-for-float" Reals "f in [1, 2.5]" "an integer in a list of floats"
    InLong "in-long" Nothing "x in [1, …, 5000]" "a list with more than 100 constants"
    ComputedIn "computed-in" TypedNumbers "(x + 1) in [1, 2]" "arithmetic in a list"
    LikePrefix "like-prefix" Texts "s like \"a%\"" "a pattern that ends in its only `%`"
    LikeSuffix "like-suffix" Texts "s like \"%a\"" "a pattern that begins with its only `%`"
    LikeInfix "like-infix" Texts "s like \"%a%\"" "a pattern with `%` elsewhere"
    LikeExact "like-exact" Texts "s like \"a\"" "a pattern without `%`"
    LikeUnderscore "like-underscore" Texts "s like \"a_\"" "a pattern with `_`"
    LikeEscape "like-escape" Texts "s like \"a\\\\%\"" "a pattern with an escaped character"
    LikeEmpty "like-empty" Texts "s like \"\"" "the empty pattern"
    LikePercent "like-percent" Texts "s like \"%\"" "a pattern of nothing but `%`"
    Add "add" Numbers "x + 1 == 2" "a sum, compared by `==` or `!=`"
    Subtract "subtract" Numbers "x - 1 == 2" "a difference, compared by `==` or `!=`"
    Multiply "multiply" Numbers "x * 2 == 2" "a product, compared by `==` or `!=`"
    Divide "divide" Numbers "x / 2 == 2" "a quotient, compared by `==` or `!=`"
    Modulo "modulo" IntegersAndJson "x % 2 == 1" "a remainder, compared by `==` or `!=`"
    OrderedAdd "ordered-add" Numbers "x + 1 < 2" "a sum in an ordering"
    OrderedSubtract "ordered-subtract" Numbers "x - 1 < 2" "a difference in an ordering"
    OrderedMultiply "ordered-multiply" Numbers "x * 2 < 2" "a product in an ordering"
    OrderedDivide "ordered-divide" Numbers "x / 2 < 2" "a quotient in an ordering"
    OrderedModulo "ordered-modulo" IntegersAndJson "x % 2 < 1" "a remainder in an ordering"
    CommutedArithmetic "commuted-arithmetic" Numbers "1 + x == 2" "a constant before `+` or `*`"
    ConstantLeft "constant-left" TypedNumbers "1 - x == 2" "a constant before another operator"
    NestedArithmetic "nested-arithmetic" TypedNumbers "(x + 1) * 2 == 4" "arithmetic on arithmetic"
    ColumnArithmetic "column-arithmetic" TypedNumbers "x + y == 3" "arithmetic between columns"
    ConstantFolding "constant-folding" Numbers "x == 1 + 2" "arithmetic between constants"
    Power "power" RealsAndJson "d == 2 ** 3" "`**` between constants, always a double"
    BitAnd "bit-and" Integers "(x & 4) == 4" "`&` with a constant"
    BitOr "bit-or" Integers "(x | 1) == 5" "`|` with a constant"
    BitXor "bit-xor" Integers "(x ^ 1) == 5" "`^` with a constant"
    BitNot "bit-not" Integers "~x == -2" "`~` before a value that depends on the row"
    UnaryMinus "unary-minus" TypedNumbers "-x == 1" "`-` before a value that depends on the row"
    CompareSame "compare-same" Columns "i1 < i2" "two columns of one type"
    CompareInts "compare-ints" IntegerColumns "i8 < i64" "integer columns of two widths"
    CompareIntFloat "compare-int-float" IntegerAndFloatColumns "i64 < f" "an integer and a FLOAT column"
    CompareIntDouble "compare-int-double" IntegerAndDoubleColumns "i64 < d" "an integer and a DOUBLE column"
    CompareFloatDouble "compare-float-double" RealColumns "f < d" "a FLOAT and a DOUBLE column"
    CompareComputed "compare-computed" NumberColumns "x + 1 < y" "columns compared after arithmetic"
    BareBool "bare-bool" BoolColumns "b and x > 1" "a BOOL column as a predicate"
    ConstantPredicate "constant-predicate" Nothing "x > 1 or 1 == 2" "a predicate of constants alone, as a part"
    ConstantFilter "constant-filter" Nothing "true" "a filter of constants alone"
    Exists "exists" Json "exists j[\"k\"]" "whether a place in JSON holds anything"
    IsNull "is-null" Nullable "x is null" "whether a value is null"
    IsNotNull "is-not-null" Nullable "x is not null" "whether a value is not null"
    ArrayLength "array-length" ArraysAndJson "array_length(a) == 2" "a length, compared by `==` or `!=`"
    OrderedArrayLength "ordered-array-length" ArraysAndJson "array_length(a) < 2" "a length in an ordering"
    InArrayLength "in-array-length" ArraysAndJson "array_length(a) in [1, 2]" "a length in a list"
    ComputedArrayLength "computed-array-length" ArraysAndJson "array_length(a) + 1 == 2" "arithmetic on a length"
    ArrayContains "array-contains" Arrays "array_contains(a, 1)" "one element of an ARRAY"
    ArrayContainsAll "array-contains-all" Arrays "array_contains_all(a, [1, 2])" "several elements of an ARRAY"
    ArrayContainsAny "array-contains-any" Arrays "array_contains_any(a, [1, 2])" "any of several elements of an ARRAY"
    JsonContains "json-contains" Json "json_contains(j[\"k\"], 1)" "one element of a JSON array"
    JsonContainsAll "json-contains-all" Json "json_contains_all(j[\"k\"], [1])" "several elements of a JSON array"
    JsonContainsAny "json-contains-any" Json "json_contains_any(j[\"k\"], [1])" "any of several elements of a JSON array"
    ContainsNegative "contains-negative" NegativeElements "array_contains(a, -1)" "a negative number as the single element"
    ContainsNested "contains-nested" Json "json_contains(j[\"k\"], [1])" "an array as the single element"
    ContainsNestedList "contains-nested-list" Json "json_contains_any(j[\"k\"], [[1]])" "arrays among several elements"
    ContainsEmpty "contains-empty" ArraysAndJson "array_contains_all(a, [])" "no element at all"
    ArrayEquality "array-equality" ArraysAndJson "a == [1, 2]" "a whole array, compared by `==` or `!=`"
    ArrayEqualityEmpty "array-equality-empty" ArraysAndJson "a == []" "an array compared with the empty one"
    TextMatch "text-match" TextColumns "text_match(s, \"a b\")" "any of several words"
    TextMatchMinimum "text-match-minimum" TextColumns "text_match(s, \"a b\", minimum_should_match=2)" "so many of several words"
    PhraseMatch "phrase-match" TextColumns "phrase_match(s, \"a b\")" "words in their order"
    Timestamp "timestamp" Timestamps "t > ISO '2026-01-31T00:00:00Z'" "a TIMESTAMPTZ column with a constant"
    TimestampReversed "timestamp-reversed" Timestamps "ISO '2026-01-31T00:00:00Z' < t" "a TIMESTAMPTZ column after the constant"
    TimestampInterval "timestamp-interval" Timestamps "t + INTERVAL 'P1D' > ISO '2026-01-31T00:00:00Z'" "a TIMESTAMPTZ column, moved"
    TimestampIntervalMonths "timestamp-interval-months" Timestamps "t + INTERVAL 'P1M' > ISO '2026-01-31T00:00:00Z'" "a TIMESTAMPTZ column, moved by months or years"
    SpatialContains "spatial-contains" Geometries "st_contains(g, \"POINT (1 2)\")" "whether a GEOMETRY contains a constant"
    SpatialWithin "spatial-within" Geometries "st_within(g, \"POLYGON ((0 0, 1 0, 1 1, 0 0))\")" "whether a GEOMETRY lies in a constant"
    SpatialIntersects "spatial-intersects" Geometries "st_intersects(g, \"POINT (1 2)\")" "whether a GEOMETRY meets a constant"
    SpatialEquals "spatial-equals" Geometries "st_equals(g, \"POINT (1 2)\")" "whether a GEOMETRY is a constant"
    SpatialBoundary "spatial-boundary" Geometries "st_touches(g, \"POINT (1 2)\")" "`st_touches`, `st_overlaps` or `st_crosses`"
    SpatialDistance "spatial-distance" Geometries "st_dwithin(g, \"POINT (1 2)\", 10)" "a distance to a GEOMETRY constant"
    SpatialValid "spatial-valid" Geometries "st_isvalid(g)" "whether a GEOMETRY is valid"
    ElementFilter "element-filter" Structs "element_filter(p, $[x] > 1)" "structs in an array that satisfy a predicate"
    ElementAny "element-any" Structs "match_any(p, $[x] > 1)" "whether any struct satisfies a predicate"
    ElementAll "element-all" Structs "match_all(p, $[x] > 1)" "whether every struct does"
    ElementLeast "element-least" Structs "match_least(p, $[x] > 1, threshold=2)" "whether at least so many structs do"
    ElementMost "element-most" Structs "match_most(p, $[x] > 1, threshold=2)" "whether at most so many structs do"
    ElementExact "element-exact" Structs "match_exact(p, $[x] > 1, threshold=2)" "whether exactly so many structs do"
    Template "template" Values "x == {v}" "a constant that is sent beside the filter"
    And "and" Nothing "x > 1 and y < 2" "a conjunction"
    Or "or" Nothing "x > 1 or y < 2" "a disjunction"
    Negation "negation" Nothing "not (x > 1)" "a negation"
    DeepNesting "deep-nesting" Nothing "not (x > 1 and not (y > 1 or …))" "more than ten predicates within each other"
    LongChain "long-chain" Nothing "x == 1 or x == 2 or …" "more than nine `and` or `or` in a row"
    LeastInteger "least-integer" Nothing "x > -9223372036854775808" "the constant -2^63"
    UpperCase "upper-case" Nothing "x > 1 AND s LIKE \"a%\"" "words in upper case"
    Symbols "symbols" Nothing "x > 1 && !(y > 1)" "`&&`, `||` and `!` for words"
    SingleQuotes "single-quotes" Nothing "s == 'a'" "strings in single quotes"
    Hexadecimal "hexadecimal" Nothing "x == 0x10" "integers in base 16"
    Octal "octal" Nothing "x == 020" "integers in base 8"
    Binary "binary" Nothing "x == 0b10000" "integers in base 2"
    Exponent "exponent" Nothing "d == 5e-1" "floats with an exponent"
    UnicodeEscape "unicode-escape" Nothing "s == \"\\u00e9\"" "characters by their numbers"
    RawString "raw-string" Nothing "s == r\"a\\b\"" "strings in which a backslash is itself"
}

impl Construct {
    /// Those that ask the elements of an array of structs.
    pub const ELEMENTS: [Construct; 6] = [
        Construct::ElementFilter,
        Construct::ElementAny,
        Construct::ElementAll,
        Construct::ElementLeast,
        Construct::ElementMost,
        Construct::ElementExact,
    ];

    /// Whether this construct has a meaning on an operand of this type; `None` stands for
    /// constructs that are about no operand.
    pub fn fits(self, operand: Option<Operand>) -> bool {
        use Scalar::{Bool, Double, Float, VarChar};
        let Some(operand) = operand else { return self.takes() == Takes::Nothing };
        let kind = operand.kind;
        let scalar = kind.scalar();
        let int = scalar.is_some_and(|scalar| scalar.int_range().is_some());
        let real = matches!(scalar, Some(Float | Double));
        let json = kind.is_json_path();
        let column = matches!(kind, Kind::Column(_));
        if let Kind::Member(scalar) = kind
            && !self.fits_members(scalar)
        {
            return false;
        }
        match self.takes() {
            Takes::Nothing => false,
            Takes::Values => scalar.is_some() || json,
            Takes::Ranges => scalar.is_some_and(|scalar| scalar != Bool) || json,
            Takes::Numbers => int || real || json,
            Takes::TypedNumbers => int || real,
            Takes::Integers => int,
            Takes::IntegersAndJson => int || json,
            Takes::Reals => real,
            Takes::RealsAndJson => real || json,
            Takes::Texts => scalar == Some(VarChar) || json,
            Takes::TextColumns => kind == Kind::Column(VarChar),
            Takes::BoolColumns => kind == Kind::Column(Bool),
            Takes::Columns => column || kind == Kind::Timestamp,
            Takes::NumberColumns => column && (int || real),
            Takes::IntegerColumns => column && int,
            Takes::IntegerAndFloatColumns => column && (int || scalar == Some(Float)),
            Takes::IntegerAndDoubleColumns => column && (int || scalar == Some(Double)),
            Takes::RealColumns => column && real,
            Takes::Json => json,
            Takes::Arrays => matches!(kind, Kind::Array(_)),
            Takes::NegativeElements => {
                matches!(kind, Kind::Array(element) if element != Bool && element != VarChar)
                    || json
            }
            Takes::ArraysAndJson => matches!(kind, Kind::Array(_)) || json,
            Takes::Nullable => !matches!(kind, Kind::Element(_) | Kind::Member(_) | Kind::Structs),
            Takes::Timestamps => kind == Kind::Timestamp,
            Takes::Geometries => kind == Kind::Geometry,
            Takes::Structs => kind == Kind::Structs,
        }
    }

    /// Whether members of structs may be asked this, where values of their type are.
    const fn fits_members(self, scalar: Scalar) -> bool {
        use Construct::*;
        match scalar {
            Scalar::Bool => matches!(self, Equality | ReversedEquality | Template),
            _ => !matches!(
                self,
                ComputedIn | ColumnArithmetic | UnaryMinus | BitAnd | BitOr | BitXor | BitNot
            ),
        }
    }
}

/// The constructs that a name stands for: the one of that name, and all whose names begin with it
/// and a hyphen. `range` is both directions, `ordered` every term that is compared by an ordering.
///
/// ```
/// use milvus_difftest::filter::grammar::{Construct, family};
/// assert_eq!(family("json-contains").unwrap().len(), 3);
/// assert_eq!(family("negation").unwrap(), [Construct::Negation]);
/// assert!(family("likes").unwrap_err().to_string().contains("did you mean 'like'?"));
/// assert!(family("modulos").unwrap_err().to_string().contains("did you mean 'modulo'?"));
/// ```
pub fn family(name: &str) -> Result<Vec<Construct>, UnknownConstruct> {
    let member = |construct: &&Construct| {
        let rest = construct.name().strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let found: Vec<Construct> = Construct::ALL.iter().filter(member).copied().collect();
    if found.is_empty() { Err(UnknownConstruct::new(name, families())) } else { Ok(found) }
}

/// Every name that [`family`] knows: those of constructs, and what these begin with before a hyphen.
fn families() -> impl Iterator<Item = &'static str> {
    Construct::ALL.iter().flat_map(|construct| {
        let name = construct.name();
        let beginnings = name.match_indices('-').map(|(end, _)| &name[..end]);
        beginnings.chain([name])
    })
}

impl fmt::Display for Construct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Construct {
    type Err = UnknownConstruct;

    fn from_str(name: &str) -> Result<Construct, UnknownConstruct> {
        let found = Construct::ALL.iter().find(|construct| construct.name() == name);
        let names = || Construct::ALL.iter().map(|construct| construct.name());
        found.copied().ok_or_else(|| UnknownConstruct::new(name, names()))
    }
}

/// A name that no construct has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no construct '{name}'{hint}")]
pub struct UnknownConstruct {
    name: String,
    hint: String,
}

impl UnknownConstruct {
    fn new<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> UnknownConstruct {
        let hint = match nearest(name, known) {
            Some(close) => format!("; did you mean '{close}'?"),
            None => "; docs/coverage.md lists them".to_owned(),
        };
        UnknownConstruct { name: name.to_owned(), hint }
    }
}

/// The name that is most like a misspelt one, if any is like it at all.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let (likeness, close) = close.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness > 0.8).then_some(close)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_and_read_back() {
        for construct in Construct::ALL {
            let name = construct.name();
            assert_eq!(name.parse(), Ok(*construct));
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            assert!(!construct.description().is_empty() && !construct.example().is_empty());
        }
    }
}
