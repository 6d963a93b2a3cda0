//! What a database has to spell for the lowering.

use crate::filter::{BinaryOp, Expr, Step, UnaryOp};
use crate::schema::Schema;

/// A type that values in expressions have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlType {
    /// A boolean.
    Bool,
    /// An integer of any width, within 64 bits.
    Int,
    /// A 128-bit integer: one operation on 64 bits cannot overflow it.
    Wide,
    /// 32 bits; arithmetic stays in 32 bits.
    Float,
    /// 64 bits.
    Double,
    /// A string in binary order.
    Text,
}

/// A constant of one [`SqlType`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Constant<'a> {
    /// [`SqlType::Bool`].
    Bool(bool),
    /// [`SqlType::Int`].
    Int(i64),
    /// [`SqlType::Wide`].
    Wide(i128),
    /// [`SqlType::Float`]; infinite where a literal is beyond the type.
    Float(f32),
    /// [`SqlType::Double`].
    Double(f64),
    /// [`SqlType::Text`].
    Text(&'a str),
}

/// What a place in JSON may hold that compares with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    /// A number written without point and exponent, from -2^63 to 2^64 - 1.
    Int,
    /// Every other number.
    Double,
    /// A string.
    Text,
    /// `true` or `false`.
    Bool,
}

impl JsonKind {
    /// Every kind.
    pub const ALL: [JsonKind; 4] =
        [JsonKind::Int, JsonKind::Double, JsonKind::Text, JsonKind::Bool];
}

/// A place in a JSON document.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPlace {
    /// The document, as an SQL expression.
    pub document: String,
    /// The way from its root; empty for the document itself.
    pub steps: Vec<Step>,
}

impl JsonPlace {
    /// An element of the array at this place.
    pub fn element(&self, index: u32) -> JsonPlace {
        let mut place = self.clone();
        place.steps.push(Step::Index(index));
        place
    }
}

/// How a database spells what SQL leaves open. Every method returns an SQL expression that can be
/// an operand as it stands. None may fail on a row: what the filter language leaves undefined has
/// any value.
pub trait SqlDialect {
    /// What of a filter this database alone cannot express; nothing for most.
    fn inexpressible(&self, _filter: &Expr) -> Option<String> {
        None
    }

    /// A field's column, or that of [`META`](crate::value::META).
    fn column(&self, schema: &Schema, name: &str) -> String;

    /// A constant, exact to the bit, whose type is at least as wide as its own.
    fn constant(&self, constant: Constant<'_>) -> String;

    /// A number converted to another type that holds it: to the nearest value, ties to even.
    fn cast(&self, sql: &str, to: SqlType) -> String;

    /// A [`SqlType::Wide`] as [`SqlType::Int`]; beyond 64 bits, anything.
    fn narrow(&self, sql: &str) -> String;

    /// A list of numbers, each converted.
    fn cast_list(&self, list: &str, to: SqlType) -> String;

    /// Whether a list is null, or is not. Never null.
    fn list_is_null(&self, list: &str, negated: bool) -> String {
        format!("{list} IS {}NULL", if negated { "NOT " } else { "" })
    }

    /// The operator on an operand of type `ty`, which is that of the result.
    fn unary(&self, op: UnaryOp, ty: SqlType, operand: &str) -> String;

    /// `left op right`, both and the result of type `ty`: division of integers truncates, and the
    /// remainder has the dividend's sign. A divisor is not 0.
    fn arithmetic(&self, op: BinaryOp, ty: SqlType, left: &str, right: &str) -> String;

    /// Whether a value equals one of these constants of its type; null if it is null.
    fn is_one_of(&self, value: &str, constants: &[Constant<'_>]) -> String {
        let constants: Vec<_> = constants.iter().map(|c| self.constant(*c)).collect();
        format!("{value} IN ({})", constants.join(", "))
    }

    /// Whether a string matches a pattern whose escape character is `\`.
    fn like(&self, text: &str, pattern: &str) -> String;

    /// The length of a list; null if it is null.
    fn length(&self, list: &str) -> String;

    /// An element, counted from 0. Anything that is not an error if the list is shorter.
    fn element(&self, list: &str, index: u32) -> String;

    /// Whether a list has an element equal to a constant; null if the list is.
    fn contains(&self, list: &str, constant: &str) -> String;

    /// Whether a list has these elements in this order; null if the list is.
    fn list_equals(&self, list: &str, constants: &[String]) -> String;

    /// Whether the place holds that kind. Whatever is not true (null included) means no.
    fn json_is(&self, place: &JsonPlace, kind: JsonKind) -> String;

    /// The value at a place that is known to hold that kind, integers as [`SqlType::Wide`]. As
    /// [`JsonKind::Double`] it also reads an integer, as the nearest double. It must not fail on
    /// other places: databases evaluate it there too.
    fn json_value(&self, place: &JsonPlace, kind: JsonKind) -> String;

    /// Whether the place holds an array. Never null.
    fn json_is_array(&self, place: &JsonPlace) -> String;

    /// How many elements the array at the place has; 0 where there is none. Never null.
    fn json_length(&self, place: &JsonPlace) -> String;

    /// Whether the place holds something: not a JSON null, `{}` or `[]`. Never null.
    fn json_exists(&self, place: &JsonPlace) -> String;

    /// Whether the place holds an array with an element that satisfies `predicate`. Never null.
    fn json_any(&self, place: &JsonPlace, predicate: &dyn Fn(&JsonPlace) -> String) -> String;
}
