//! Terms on places in JSON.

use super::{Constant, JsonKind, JsonPlace, Lowering, SqlType, Test};
use crate::backend::BackendError;
use crate::filter::{BinaryOp, Literal, Step};
use crate::schema::Field;
use crate::value::META;

/// Where a term on JSON is unknown: when this column is null, or never.
pub(super) type Nulls = Option<String>;

/// One operation on a number in JSON. A constant that comes first does so because it commutes.
pub(super) struct JsonArithmetic {
    pub(super) place: JsonPlace,
    pub(super) nulls: Nulls,
    pub(super) op: BinaryOp,
    pub(super) constant: Literal,
}

impl Lowering<'_> {
    pub(super) fn json(&self, field: Option<&Field>, steps: Vec<Step>) -> (JsonPlace, Nulls) {
        // The dynamic field itself is never null, nor is a required column.
        let document = self.column(field.map_or(META, |field| &field.name));
        let nulls = field.filter(|field| field.nullable).map(|_| document.clone());
        (JsonPlace { document, steps }, nulls)
    }

    /// A term on JSON: one branch per kind that the test accepts. All others, missing keys
    /// included, are a mismatch, which satisfies `!=` and nothing else.
    pub(super) fn test_json(&self, place: &JsonPlace, nulls: &Nulls, test: &Test<'_>) -> String {
        let mut branches = Vec::new();
        for kind in JsonKind::ALL {
            let tested = self.test_value(&self.dialect.json_value(place, kind), kind, test);
            branches.extend(tested.map(|tested| (self.dialect.json_is(place, kind), tested)));
        }
        self.case(nulls, &branches, is_mismatch_enough(test))
    }

    /// The constant picks the type: beside an integer, 64-bit integers stay integers, and every
    /// other number is a double.
    pub(super) fn test_json_arithmetic(
        &self,
        operand: &JsonArithmetic,
        test: &Test<'_>,
    ) -> Result<String, BackendError> {
        let JsonArithmetic { place, nulls, op, constant } = operand;
        let arithmetic = |kind, ty, constant| {
            let value = self.dialect.json_value(place, kind);
            let constant = self.dialect.constant(constant);
            self.test_value(&self.dialect.arithmetic(*op, ty, &value, &constant), kind, test)
        };
        let is = |kind| self.dialect.json_is(place, kind);
        let mut branches = Vec::new();
        if let Literal::Int(i) = constant {
            let largest = self.dialect.constant(Constant::Int(i64::MAX));
            let value = self.dialect.json_value(place, JsonKind::Int);
            let fits = format!("{} AND {value} <= {largest}", is(JsonKind::Int));
            let tested = arithmetic(JsonKind::Int, SqlType::Wide, Constant::Wide(i128::from(*i)));
            branches.extend(tested.map(|tested| (fits, tested)));
        }
        // Remainders of fractions are undefined.
        if *op != BinaryOp::Mod {
            let double = match constant {
                Literal::Int(i) => *i as f64,
                Literal::Float(x) => *x,
                _ => return Err(super::unknown(self.filter)),
            };
            let tested = arithmetic(JsonKind::Double, SqlType::Double, Constant::Double(double));
            for kind in [JsonKind::Int, JsonKind::Double] {
                branches.extend(tested.clone().map(|tested| (is(kind), tested)));
            }
        }
        Ok(self.case(nulls, &branches, is_mismatch_enough(test)))
    }

    /// A test of a value of one kind; `None` if no value of that kind satisfies it.
    fn test_value(&self, value: &str, kind: JsonKind, test: &Test<'_>) -> Option<String> {
        match test {
            Test::Compare(op, literal) => self.within(value, *op, kind, literal),
            Test::In(list) => {
                let exact = list.iter().filter_map(|item| Bounds::of(kind, item)?.exact());
                let exact: Vec<_> = exact.collect();
                (!exact.is_empty()).then(|| self.dialect.is_one_of(value, &exact))
            }
            Test::Like(pattern) => {
                (kind == JsonKind::Text).then(|| self.dialect.like(value, pattern))
            }
        }
    }

    pub(super) fn case(
        &self,
        nulls: &Nulls,
        branches: &[(String, String)],
        otherwise: bool,
    ) -> String {
        let otherwise = self.bool(otherwise);
        let null = nulls.iter().map(|column| format!(" WHEN {column} IS NULL THEN NULL"));
        let branches = branches.iter().map(|(is, then)| format!(" WHEN {is} THEN {then}"));
        let branches: String = null.chain(branches).collect();
        if branches.is_empty() { otherwise } else { format!("CASE{branches} ELSE {otherwise} END") }
    }

    /// Whether the place, which is known to hold an array, holds these elements. Never null.
    pub(super) fn json_items_equal(&self, place: &JsonPlace, items: &[Literal]) -> String {
        let length = format!("{} = {}", self.dialect.json_length(place), items.len());
        let each = (0..).zip(items).map(|(index, item)| {
            self.json_is_one_of(&place.element(index), std::slice::from_ref(item))
        });
        std::iter::once(length).chain(each).collect::<Vec<_>>().join(" AND ")
    }

    /// Whether the place holds one of these constants, which may be arrays. Never null.
    pub(super) fn json_is_one_of(&self, place: &JsonPlace, items: &[Literal]) -> String {
        let (lists, scalars): (Vec<_>, Vec<_>) =
            items.iter().cloned().partition(|item| matches!(item, Literal::List(_)));
        let mut any = Vec::new();
        if !scalars.is_empty() || lists.is_empty() {
            any.push(self.test_json(place, &None, &Test::In(&scalars)));
        }
        for list in &lists {
            let equal = self.json_items_equal(place, list.items());
            any.push(format!("({} AND {equal})", self.dialect.json_is_array(place)));
        }
        match any.as_slice() {
            [single] => single.clone(),
            any => format!("({})", any.join(" OR ")),
        }
    }

    /// `value op literal`, compared exactly whatever their kinds; `None` if values of that kind
    /// never compare with the literal.
    pub(super) fn within(
        &self,
        value: &str,
        op: BinaryOp,
        kind: JsonKind,
        literal: &Literal,
    ) -> Option<String> {
        let bounds = Bounds::of(kind, literal)?;
        let (symbol, bound) = match (op, bounds.exact()) {
            (BinaryOp::Lt, _) => ("<", bounds.high),
            (BinaryOp::Le, _) => ("<=", bounds.low),
            (BinaryOp::Gt, _) => (">", bounds.low),
            (BinaryOp::Ge, _) => (">=", bounds.high),
            (BinaryOp::Ne, Some(exact)) => ("<>", exact),
            (BinaryOp::Ne, None) => return Some(self.bool(true)),
            (_, Some(exact)) => ("=", exact),
            (_, None) => return Some(self.bool(false)),
        };
        Some(format!("{value} {symbol} {}", self.dialect.constant(bound)))
    }
}

/// Whether a value that does not compare satisfies the test.
fn is_mismatch_enough(test: &Test<'_>) -> bool {
    matches!(test, Test::Compare(BinaryOp::Ne, _))
}

/// A literal among the values of one kind of JSON: the next below it and the next above it, which
/// are the literal itself if the kind can hold it. Comparing with them compares exactly, where
/// converting the literal or the value would round.
struct Bounds<'a> {
    low: Constant<'a>,
    high: Constant<'a>,
}

impl<'a> Bounds<'a> {
    /// `None` if a value of that kind never compares with the literal.
    fn of(kind: JsonKind, literal: &'a Literal) -> Option<Bounds<'a>> {
        let (low, high) = match (kind, literal) {
            (JsonKind::Int, Literal::Int(i)) => {
                (Constant::Wide(i128::from(*i)), Constant::Wide(i128::from(*i)))
            }
            // `as` saturates far beyond the integers that JSON holds.
            (JsonKind::Int, Literal::Float(x)) => {
                (Constant::Wide(x.floor() as i128), Constant::Wide(x.ceil() as i128))
            }
            (JsonKind::Double, Literal::Float(x)) => (Constant::Double(*x), Constant::Double(*x)),
            (JsonKind::Double, Literal::Int(i)) => {
                let nearest = *i as f64;
                let (low, high) = match (nearest as i128).cmp(&i128::from(*i)) {
                    std::cmp::Ordering::Less => (nearest, nearest.next_up()),
                    std::cmp::Ordering::Equal => (nearest, nearest),
                    std::cmp::Ordering::Greater => (nearest.next_down(), nearest),
                };
                (Constant::Double(low), Constant::Double(high))
            }
            (JsonKind::Text, Literal::Text(s)) => (Constant::Text(s), Constant::Text(s)),
            (JsonKind::Bool, Literal::Bool(b)) => (Constant::Bool(*b), Constant::Bool(*b)),
            _ => return None,
        };
        Some(Bounds { low, high })
    }

    fn exact(&self) -> Option<Constant<'a>> {
        (self.low == self.high).then_some(self.low)
    }
}
