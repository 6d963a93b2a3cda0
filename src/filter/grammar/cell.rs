//! Which constructs a filter has, and on which operands.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::construct::{Construct, UnknownConstruct};
use super::operand::{Kind, Operand, UnknownGroup};
use crate::filter::ast::{Expr, FieldPath, Literal};
use crate::filter::elements;
use crate::filter::fold;
use crate::filter::operator::{BinaryOp, Elements, Function, Quantifier, UnaryOp};
use crate::filter::spelling::{Filter, Radix, Spelling, Strings, Words};
use crate::schema::{DataType, Field, Scalar, Schema};

/// One construct on one type of operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    /// The construct.
    pub construct: Construct,
    /// The operand; `None` for constructs that are about none.
    pub operand: Option<Operand>,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operand {
            Some(operand) => write!(f, "{} on {operand}", self.construct),
            None => write!(f, "{}", self.construct),
        }
    }
}

/// A text that names no cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCell {
    /// No such construct.
    #[error(transparent)]
    Construct(#[from] UnknownConstruct),
    /// No such operand.
    #[error(transparent)]
    Operand(#[from] UnknownGroup),
}

/// As [`Cell`] is written: `add on INT8?`.
///
/// ```
/// use milvus_difftest::filter::grammar::Cell;
/// let cell: Cell = "add on INT8?".parse().unwrap();
/// assert_eq!(cell.to_string(), "add on INT8?");
/// ```
impl FromStr for Cell {
    type Err = UnknownCell;

    fn from_str(text: &str) -> Result<Cell, UnknownCell> {
        let (construct, operand) = match text.split_once(" on ") {
            Some((construct, operand)) => (construct, Some(operand.parse()?)),
            None => (text, None),
        };
        Ok(Cell { construct: construct.parse()?, operand })
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cell, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Every cell that filters on a collection of this schema can touch.
pub fn applicable(schema: &Schema) -> BTreeSet<Cell> {
    let mut operands = vec![None];
    operands.extend(schema.fields.iter().flat_map(Operand::of_field).map(Some));
    if schema.dynamic {
        operands.extend(Operand::of_dynamic().map(Some));
    }
    let mut all = BTreeSet::new();
    for operand in operands {
        let fitting = Construct::ALL.iter().filter(|construct| {
            // Templates have no value in the model, so that the checker refuses them.
            **construct != Construct::Template && construct.fits(operand)
        });
        all.extend(fitting.map(|construct| Cell { construct: *construct, operand }));
    }
    all
}

/// Every cell there is, with or without nullable fields.
pub fn everything(nullable: bool) -> BTreeSet<Cell> {
    let mut types = vec![DataType::Json, DataType::Timestamptz, DataType::Geometry];
    types.extend(Scalar::ALL.map(DataType::Scalar));
    types.extend(Scalar::ALL.map(DataType::Array));
    let fields = types.iter().map(|data_type| Field::new(data_type.to_string(), *data_type));
    let mut fields: Vec<Field> = fields.collect();
    if nullable {
        fields.extend(fields.clone().into_iter().map(Field::nullable));
    }
    let members = Scalar::ALL.map(DataType::Scalar);
    let members = members.map(|member| Field::new(member.to_string(), member)).to_vec();
    fields.push(Field { members, ..Field::new("structs", DataType::StructArray) });
    applicable(&Schema { fields, dynamic: true })
}

/// The cells that a filter touches. The filter must pass [`check`](crate::filter::check());
/// of others, only what has a meaning counts.
///
/// ```
/// use milvus_difftest::filter::{Filter, grammar::cells};
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let schema = Schema { fields: vec![id], dynamic: false };
/// let touched = cells(&schema, &Filter::parse("id + 1 == 2 and id > 0").unwrap());
/// let touched: Vec<String> = touched.iter().map(ToString::to_string).collect();
/// assert_eq!(touched, ["ordering on INT64", "add on INT64", "and"]);
/// ```
pub fn cells(schema: &Schema, filter: &Filter) -> BTreeSet<Cell> {
    let mut found = BTreeSet::new();
    let mut visit = |cell| {
        found.insert(cell);
    };
    let mut walk = Walk { schema, visit: &mut visit };
    let constant = walk.whole(&filter.expr);
    walk.spelling(filter);
    if constant {
        found.remove(&Cell { construct: Construct::ConstantPredicate, operand: None });
        found.insert(Cell { construct: Construct::ConstantFilter, operand: None });
    }
    found
}

/// Calls `visit` with the cells that a part of a filter touches, some of them more than once.
pub(crate) fn for_each_cell(schema: &Schema, part: &Expr, mut visit: impl FnMut(Cell)) {
    Walk { schema, visit: &mut visit }.whole(part);
}

/// Predicates within each other, beyond which nesting is deep; `and` and `or` in a row, beyond
/// which a chain is long; and constants beyond which a list is.
const DEEP: usize = 10;
const LONG_CHAIN: usize = 9;
const LONG_LIST: usize = 100;

struct Walk<'a> {
    schema: &'a Schema,
    visit: &'a mut dyn FnMut(Cell),
}

impl Walk<'_> {
    /// Whether the whole is about constants alone.
    fn whole(&mut self, expr: &Expr) -> bool {
        let constant = self.predicate(expr);
        if depth(expr) > DEEP {
            self.add(Construct::DeepNesting);
        }
        self.literals(expr);
        constant
    }

    fn add(&mut self, construct: Construct) {
        (self.visit)(Cell { construct, operand: None });
    }

    fn on(&mut self, construct: Construct, path: &FieldPath) {
        let operand = Operand::of(self.schema, path);
        if construct.fits(operand) {
            (self.visit)(Cell { construct, operand });
        }
    }

    /// On every path of an operand.
    fn on_all(&mut self, construct: Construct, operand: &Expr) {
        operand.for_each_path(&mut |path| self.on(construct, path));
    }

    /// Whether the predicate is about constants alone.
    fn predicate(&mut self, expr: &Expr) -> bool {
        match expr {
            Expr::Literal(_) => {
                self.add(Construct::ConstantPredicate);
                return true;
            }
            Expr::Field(path) => self.on(Construct::BareBool, path),
            Expr::Not(inner) => {
                self.add(Construct::Negation);
                return self.predicate(inner);
            }
            Expr::Binary { op, left, right } if op.is_logical() => {
                let (construct, op) = match op {
                    BinaryOp::And => (Construct::And, BinaryOp::And),
                    _ => (Construct::Or, BinaryOp::Or),
                };
                self.add(construct);
                if chain(expr, op) > LONG_CHAIN {
                    self.add(Construct::LongChain);
                }
                let left = self.predicate(left);
                return self.predicate(right) && left;
            }
            Expr::Binary { op, left, right } if op.is_comparison() => {
                return self.comparison(*op, left, right);
            }
            Expr::Range { operand, low, high, descending } => {
                self.on(
                    if *descending {
                        Construct::RangeDescending
                    } else {
                        Construct::RangeAscending
                    },
                    operand,
                );
                if [low, high].iter().any(|bound| matches!(bound.value, Literal::Int(_))) {
                    self.on(Construct::RangeIntForFloat, operand);
                }
            }
            Expr::In { operand, list, negated } => self.is_in(operand, list, *negated),
            Expr::Like { operand, pattern } => {
                for construct in pattern_constructs(pattern) {
                    self.on_all(construct, operand);
                }
            }
            Expr::IsNull { operand, negated } => {
                self.on(if *negated { Construct::IsNotNull } else { Construct::IsNull }, operand);
            }
            Expr::Exists(path) => self.on(Construct::Exists, path),
            Expr::Call { function, operand, arguments } => {
                self.call(*function, operand, arguments);
            }
            Expr::Elements { elements, field, predicate } => {
                let construct = match elements {
                    Elements::Filter => Construct::ElementFilter,
                    Elements::Any => Construct::ElementAny,
                    Elements::All => Construct::ElementAll,
                    Elements::Least(_) => Construct::ElementLeast,
                    Elements::Most(_) => Construct::ElementMost,
                    Elements::Exact(_) => Construct::ElementExact,
                };
                self.on(construct, &FieldPath::new(field));
                if let Ok(scope) = elements::scope(self.schema, field) {
                    Walk { schema: &scope, visit: &mut *self.visit }.predicate(predicate);
                }
            }
            Expr::Unary { .. } | Expr::Binary { .. } => {}
        }
        false
    }

    fn comparison(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> bool {
        let equality = matches!(op, BinaryOp::Eq | BinaryOp::Ne);
        let (operand, literal, reversed) = match (folded(left), folded(right)) {
            (Some(_), Some(_)) => {
                self.add(Construct::ConstantPredicate);
                return true;
            }
            (None, Some(_)) => (left, right, false),
            (Some(_), None) => (right, left, true),
            (None, None) => {
                self.columns(left, right, equality);
                return false;
            }
        };
        match literal {
            Expr::Literal(Literal::List(items)) if items.is_empty() => {
                self.on_all(Construct::ArrayEqualityEmpty, operand);
            }
            Expr::Literal(Literal::List(_)) => self.on_all(Construct::ArrayEquality, operand),
            Expr::Literal(Literal::Template(_)) => self.on_all(Construct::Template, operand),
            Expr::Literal(_) => {}
            computed => {
                self.on_all(Construct::ConstantFolding, operand);
                computed.for_each_node(&mut |node| {
                    if matches!(node, Expr::Binary { op: BinaryOp::Pow, .. }) {
                        self.on_all(Construct::Power, operand);
                    }
                });
            }
        }
        match operand {
            Expr::Field(path) => {
                if !matches!(literal, Expr::Literal(Literal::List(_))) {
                    self.on(
                        match (reversed, equality) {
                            (false, true) => Construct::Equality,
                            (false, false) => Construct::Ordering,
                            (true, true) => Construct::ReversedEquality,
                            (true, false) => Construct::ReversedOrdering,
                        },
                        path,
                    );
                    self.on(
                        match reversed {
                            false => Construct::Timestamp,
                            true => Construct::TimestampReversed,
                        },
                        path,
                    );
                }
            }
            Expr::Call { operand, .. } => self.on(
                if equality { Construct::ArrayLength } else { Construct::OrderedArrayLength },
                operand,
            ),
            computed => {
                if reversed {
                    self.on_all(Construct::TimestampReversed, computed);
                }
                self.arithmetic(computed, equality);
            }
        }
        false
    }

    /// Two operands that both depend on the row.
    fn columns(&mut self, left: &Expr, right: &Expr, equality: bool) {
        let (Expr::Field(a), Expr::Field(b)) = (left, right) else {
            self.on_all(Construct::CompareComputed, left);
            self.on_all(Construct::CompareComputed, right);
            for side in [left, right] {
                self.arithmetic(side, equality);
            }
            return;
        };
        let kind = |path| Some(Operand::of(self.schema, path)?.kind);
        if (kind(a), kind(b)) == (Some(Kind::Timestamp), Some(Kind::Timestamp)) {
            self.on(Construct::CompareSame, a);
            self.on(Construct::CompareSame, b);
            return;
        }
        let scalar = |path| kind(path)?.scalar();
        let (Some(x), Some(y)) = (scalar(a), scalar(b)) else { return };
        let int = |scalar: Scalar| scalar.int_range().is_some();
        let construct = match (x, y) {
            (x, y) if x == y => Construct::CompareSame,
            (x, y) if int(x) && int(y) => Construct::CompareInts,
            (x, y) if int(x) || int(y) => match (x, y) {
                (Scalar::Float, _) | (_, Scalar::Float) => Construct::CompareIntFloat,
                _ => Construct::CompareIntDouble,
            },
            _ => Construct::CompareFloatDouble,
        };
        self.on(construct, a);
        self.on(construct, b);
    }

    /// Arithmetic that depends on the row.
    fn arithmetic(&mut self, expr: &Expr, equality: bool) {
        match expr {
            Expr::Unary { op, operand } => {
                let construct = match op {
                    UnaryOp::Negate => Construct::UnaryMinus,
                    UnaryOp::BitNot => Construct::BitNot,
                };
                self.on_all(construct, operand);
                self.inner(operand, equality);
            }
            Expr::Binary { op, left, right } => {
                match (folded(left).as_deref(), folded(right).as_deref()) {
                    (None, Some(Literal::Interval(interval))) => {
                        let months = interval.months != 0;
                        self.on_all(
                            if months {
                                Construct::TimestampIntervalMonths
                            } else {
                                Construct::TimestampInterval
                            },
                            left,
                        );
                    }
                    (None, _) if folded(right).is_none() => {
                        self.on_all(Construct::ColumnArithmetic, left);
                        self.on_all(Construct::ColumnArithmetic, right);
                        self.inner(left, equality);
                        self.inner(right, equality);
                    }
                    (None, _) => {
                        self.on_all(of_operator(*op, equality), left);
                        self.inner(left, equality);
                    }
                    (Some(_), _) => {
                        let commuting = matches!(op, BinaryOp::Add | BinaryOp::Mul);
                        self.on_all(
                            if commuting {
                                Construct::CommutedArithmetic
                            } else {
                                Construct::ConstantLeft
                            },
                            right,
                        );
                        // The operator itself is one of those that may be missing.
                        self.on_all(of_operator(*op, equality), right);
                        self.inner(right, equality);
                    }
                }
            }
            _ => {}
        }
    }

    /// What arithmetic is done on.
    fn inner(&mut self, operand: &Expr, equality: bool) {
        match operand {
            Expr::Unary { .. } | Expr::Binary { .. } => {
                self.on_all(Construct::NestedArithmetic, operand);
                self.arithmetic(operand, equality);
            }
            Expr::Call { operand, .. } => self.on(Construct::ComputedArrayLength, operand),
            _ => {}
        }
    }

    fn is_in(&mut self, operand: &Expr, list: &[Literal], negated: bool) {
        let construct = match operand {
            Expr::Field(_) if list.is_empty() => Construct::InEmpty,
            Expr::Field(_) if negated => Construct::NotIn,
            Expr::Field(_) => Construct::In,
            Expr::Call { .. } => Construct::InArrayLength,
            computed => {
                self.arithmetic(computed, true);
                Construct::ComputedIn
            }
        };
        self.on_all(construct, operand);
        if list.len() > LONG_LIST {
            self.add(Construct::InLong);
        }
        if list.iter().any(|literal| matches!(literal, Literal::Int(_))) {
            self.on_all(Construct::InIntForFloat, operand);
        }
        if matches!(list, [Literal::Template(_)]) {
            self.on_all(Construct::Template, operand);
        }
    }

    fn call(&mut self, function: Function, operand: &FieldPath, arguments: &[Literal]) {
        use Construct::*;
        let construct = match function {
            Function::ArrayLength => return,
            Function::ArrayContains => ArrayContains,
            Function::ArrayContainsAll => ArrayContainsAll,
            Function::ArrayContainsAny => ArrayContainsAny,
            Function::JsonContains => JsonContains,
            Function::JsonContainsAll => JsonContainsAll,
            Function::JsonContainsAny => JsonContainsAny,
            Function::TextMatch if arguments.len() > 1 => TextMatchMinimum,
            Function::TextMatch => TextMatch,
            Function::PhraseMatch => PhraseMatch,
            Function::StDwithin => SpatialDistance,
            Function::StIsvalid => SpatialValid,
            Function::StContains => SpatialContains,
            Function::StWithin => SpatialWithin,
            Function::StIntersects => SpatialIntersects,
            Function::StEquals => SpatialEquals,
            Function::StTouches | Function::StOverlaps | Function::StCrosses => SpatialBoundary,
        };
        self.on(construct, operand);
        match (function.quantifier(), arguments) {
            (Some(Quantifier::One), [Literal::Int(..0)]) => self.on(ContainsNegative, operand),
            (Some(Quantifier::One), [Literal::Float(x)]) if x.is_sign_negative() => {
                self.on(ContainsNegative, operand);
            }
            (Some(Quantifier::One), [Literal::List(items)]) => {
                self.on(ContainsNested, operand);
                if items.is_empty() {
                    self.on(ContainsEmpty, operand);
                }
            }
            (Some(Quantifier::All | Quantifier::Any), [Literal::List(items)]) => {
                let empty =
                    |item: &Literal| matches!(item, Literal::List(items) if items.is_empty());
                if items.is_empty() || items.iter().any(empty) {
                    self.on(ContainsEmpty, operand);
                }
                if items.iter().any(|item| matches!(item, Literal::List(_))) {
                    self.on(ContainsNestedList, operand);
                }
            }
            _ => {}
        }
    }

    fn literals(&mut self, expr: &Expr) {
        expr.for_each_literal(&mut |literal| {
            if has_least(literal) {
                self.add(Construct::LeastInteger);
            }
        });
    }

    /// What the spelling shows: hexadecimal says nothing in a filter without integers.
    fn spelling(&mut self, filter: &Filter) {
        let plain = Spelling::default();
        let Spelling { words, quotes, radix, floats, strings } = filter.spelling;
        if filter.spelling == plain {
            return;
        }
        let text = Filter::from(filter.expr.clone()).to_string();
        let mut shown = |construct, spelling: Spelling| {
            if spelling != plain {
                let spelled = Filter { expr: filter.expr.clone(), spelling };
                if spelled.to_string() != text {
                    self.add(construct);
                }
            }
        };
        let construct =
            if words == Words::Symbols { Construct::Symbols } else { Construct::UpperCase };
        shown(construct, Spelling { words, ..plain });
        shown(Construct::SingleQuotes, Spelling { quotes, ..plain });
        let construct = match radix {
            Radix::Octal => Construct::Octal,
            Radix::Binary => Construct::Binary,
            Radix::Hexadecimal | Radix::Decimal => Construct::Hexadecimal,
        };
        shown(construct, Spelling { radix, ..plain });
        shown(Construct::Exponent, Spelling { floats, ..plain });
        let raw = strings == Strings::Raw;
        let construct = if raw { Construct::RawString } else { Construct::UnicodeEscape };
        shown(construct, Spelling { strings, ..plain });
    }
}

/// The constant that an expression comes to, if it is one.
fn folded(expr: &Expr) -> Option<Cow<'_, Literal>> {
    match expr {
        // It has no value, but does not depend on the row either.
        Expr::Literal(literal) => Some(Cow::Borrowed(literal)),
        expr => fold::folded(expr).ok().flatten(),
    }
}

fn of_operator(op: BinaryOp, equality: bool) -> Construct {
    use Construct::*;
    match (op, equality) {
        (BinaryOp::Add, true) => Add,
        (BinaryOp::Sub, true) => Subtract,
        (BinaryOp::Mul, true) => Multiply,
        (BinaryOp::Div, true) => Divide,
        (BinaryOp::Mod, true) => Modulo,
        (BinaryOp::Add, false) => OrderedAdd,
        (BinaryOp::Sub, false) => OrderedSubtract,
        (BinaryOp::Mul, false) => OrderedMultiply,
        (BinaryOp::Div, false) => OrderedDivide,
        (BinaryOp::Mod, false) => OrderedModulo,
        (BinaryOp::BitAnd, _) => BitAnd,
        (BinaryOp::BitOr, _) => BitOr,
        (BinaryOp::BitXor, _) => BitXor,
        // The checker lets `**` stand between constants alone, which are folded.
        (_, _) => Power,
    }
}

fn has_least(literal: &Literal) -> bool {
    match literal {
        Literal::Int(i) => *i == i64::MIN,
        Literal::List(items) => items.iter().any(has_least),
        _ => false,
    }
}

/// What a pattern is made of.
fn pattern_constructs(pattern: &str) -> Vec<Construct> {
    let mut found = Vec::new();
    // The pattern with one letter for each character that stands for itself.
    let mut form = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        form.push(match c {
            '%' => '%',
            '_' => '_',
            '\\' => {
                chars.next();
                '\\'
            }
            _ => 'c',
        });
    }
    if form.contains('\\') {
        found.push(Construct::LikeEscape);
    }
    if form.contains('_') {
        found.push(Construct::LikeUnderscore);
    }
    let percents = form.matches('%').count();
    found.push(match percents {
        _ if form.is_empty() => Construct::LikeEmpty,
        _ if percents == form.len() => Construct::LikePercent,
        0 => Construct::LikeExact,
        1 if form.ends_with('%') => Construct::LikePrefix,
        1 if form.starts_with('%') => Construct::LikeSuffix,
        _ => Construct::LikeInfix,
    });
    found
}

/// Predicates within each other; `and` and `or` chains count once.
pub(crate) fn depth(expr: &Expr) -> usize {
    match expr {
        Expr::Binary { op, left, right } if op.is_logical() => {
            let inner = |side: &Expr| match side {
                Expr::Binary { op: same, .. } if same == op => depth(side).saturating_sub(1),
                side => depth(side),
            };
            1 + inner(left).max(inner(right))
        }
        Expr::Not(inner) => 1 + depth(inner),
        Expr::Elements { predicate, .. } => 1 + depth(predicate),
        _ => 0,
    }
}

/// How many operators of one kind are in a row. The parser makes a balanced tree of them.
fn chain(expr: &Expr, op: BinaryOp) -> usize {
    match expr {
        Expr::Binary { op: same, left, right } if *same == op => {
            1 + chain(left, op) + chain(right, op)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{check, parse};

    fn schema() -> Schema {
        let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar));
        let fields = vec![
            scalar("id", Scalar::Int64).primary(),
            scalar("x", Scalar::Int8).nullable(),
            scalar("f", Scalar::Float),
            scalar("d", Scalar::Double),
            scalar("s", Scalar::VarChar),
            scalar("b", Scalar::Bool),
            Field::new("a", DataType::Array(Scalar::Int64)),
            Field::new("j", DataType::Json),
            Field {
                members: vec![scalar("i", Scalar::Int8), scalar("s", Scalar::VarChar)],
                ..Field::new("st", DataType::StructArray)
            },
        ];
        Schema { fields, dynamic: true }
    }

    /// The cells of a filter by their names, but for `and`, `or` and `not`.
    fn of(text: &str) -> Vec<String> {
        let filter = Filter::parse(text).unwrap();
        check(&schema(), &filter.expr).unwrap();
        cells(&schema(), &filter).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_term_has_its_cells() {
        for (filter, cells) in [
            ("x == 1", &["equality on INT8?"][..]),
            ("1 < x", &["reversed-ordering on INT8?"]),
            ("x + 1 < 2", &["ordered-add on INT8?"]),
            ("2 * x == 4", &["multiply on INT8?", "commuted-arithmetic on INT8?"]),
            (
                "(x + 1) * 2 == 4",
                &["add on INT8?", "multiply on INT8?", "nested-arithmetic on INT8?"],
            ),
            ("x + id == 4", &["column-arithmetic on INT8?", "column-arithmetic on INT64"]),
            ("x == 1 + 2", &["equality on INT8?", "constant-folding on INT8?"]),
            ("x < id", &["compare-ints on INT8?", "compare-ints on INT64"]),
            ("f < d", &["compare-float-double on FLOAT", "compare-float-double on DOUBLE"]),
            ("f in [1, 2.5]", &["in on FLOAT", "in-int-for-float on FLOAT"]),
            ("dyn not in [1]", &["not-in on dynamic"]),
            ("x in []", &["in-empty on INT8?"]),
            ("s like \"a\\\\%b%\"", &["like-prefix on VARCHAR", "like-escape on VARCHAR"]),
            ("s like \"%\"", &["like-percent on VARCHAR"]),
            ("s like \"a_\"", &["like-exact on VARCHAR", "like-underscore on VARCHAR"]),
            ("j is not null", &["is-not-null on JSON"]),
            ("exists j[\"a\"][0]", &["exists on JSON[key][i]"]),
            ("$meta[\"k\"] == 1", &["equality on $meta[key]"]),
            ("dyn[\"k\"] == 1", &["equality on dynamic[path]"]),
            ("array_length(a) > 1", &["ordered-array-length on ARRAY<INT64>"]),
            ("a[3] == 1", &["equality on ARRAY<INT64>[i]"]),
            (
                "array_contains(a, -1)",
                &["array-contains on ARRAY<INT64>", "contains-negative on ARRAY<INT64>"],
            ),
            ("b", &["bare-bool on BOOL"]),
            (
                "match_least(st, $[i] + 1 < 2 or $[s] like \"a%\", threshold=1)",
                &[
                    "like-prefix on $[VARCHAR]",
                    "ordered-add on $[INT8]",
                    "element-least on ARRAY<STRUCT>",
                    "or",
                ],
            ),
            ("true", &["constant-filter"]),
            ("b and 1 == 2", &["bare-bool on BOOL", "constant-predicate", "and"]),
        ] {
            assert_eq!(of(filter), cells, "{filter}");
        }
    }

    #[test]
    fn only_a_spelling_that_shows_counts() {
        let hex = Spelling { radix: Radix::Hexadecimal, ..Spelling::default() };
        let has = |text: &str| {
            let filter = Filter { expr: parse(text).unwrap(), spelling: hex };
            let hexadecimal = Cell { construct: Construct::Hexadecimal, operand: None };
            cells(&schema(), &filter).contains(&hexadecimal)
        };
        assert!(has("x == 16") && !has("s == \"16\""));
    }

    #[test]
    fn chains_and_depth_are_counted() {
        let long = (0..11).map(|i| format!("x == {i}")).collect::<Vec<_>>().join(" or ");
        assert!(of(&long).contains(&"long-chain".to_owned()));
        assert!(!of(&long).contains(&"deep-nesting".to_owned()));
        let deep = (0..11).fold("x == 1".to_owned(), |inner, _| format!("not ({inner})"));
        assert!(of(&deep).contains(&"deep-nesting".to_owned()));
    }
}
