//! Random tables and filters over the whole language, typed by construction. Every row and every
//! constant is drawn from values at the edges of the types, and constants from the rows as well, so
//! that they meet.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::fixture;
use crate::backend::Table;
use crate::filter::{
    BinaryOp, Bound, Expr, FieldPath, Function, Interval, Literal, Step, UnaryOp, check,
};
use crate::schema::{DataType, Field};
use crate::value::{META, Row, Value};

const INTS: [&str; 4] = ["i8", "i16", "i32", "i64"];
const COLUMNS: [&str; 9] = ["b", "i8", "i16", "i32", "i64", "f", "d", "s", "S"];
const ARRAYS: [&str; 6] = ["ab", "a8", "ai", "af", "ad", "at"];
/// Keys that are digits, that pointers escape, that SQL or DuckDB's paths quote.
const KEYS: [&str; 22] = [
    "k",
    "l",
    "o",
    "0",
    "1",
    "2",
    "01",
    "-",
    "a/b",
    "m~n",
    "~1",
    "it's",
    "a.b",
    "say \"hi\"",
    "a\\b",
    "日本",
    "$",
    "*",
    "",
    " ",
    "'; DROP TABLE fixture; --",
    "nul\0",
];
const ARITHMETIC: [BinaryOp; 5] =
    [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div, BinaryOp::Mod];
const BITWISE: [BinaryOp; 3] = [BinaryOp::BitAnd, BinaryOp::BitOr, BinaryOp::BitXor];

/// A table, its rows, and filters on them.
pub(super) struct Random {
    state: u64,
    pools: BTreeMap<String, Vec<Json>>,
    pub(super) table: Table,
    pub(super) rows: Vec<Row>,
}

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        let table = fixture::table();
        let names = table.schema.fields.iter().map(|field| field.name.as_str()).chain([META]);
        let pools = names.map(|name| (name.to_owned(), fixture::pool(name))).collect();
        Random { state: seed, pools, table, rows: Vec::new() }
    }

    /// Another table of that many rows: which fields are nullable changes, as do the values.
    pub(super) fn next_table(&mut self, rows: i64) {
        let mut table = fixture::table();
        for field in table.schema.fields.iter_mut().filter(|field| field.nullable) {
            field.nullable = self.below(4) > 0;
        }
        self.rows = (0..rows)
            .map(|id| {
                let mut row = Row::default();
                for field in &table.schema.fields {
                    let value = match field.data_type {
                        _ if field.primary => Value::Int(id),
                        _ if field.nullable && self.below(8) == 0 => Value::Null,
                        DataType::Json => Value::Json(self.document(3)),
                        _ => loop {
                            let json = self.pooled(&field.name);
                            if !json.is_null() {
                                break Value::from_json(field, &json).unwrap();
                            }
                        },
                    };
                    row.fields.insert(field.name.clone(), value);
                }
                if let Json::Object(members) = self.document(2) {
                    row.dynamic = members;
                }
                row.dynamic.insert("dyn".to_owned(), self.json_value(2));
                row
            })
            .collect();
        self.table = table;
    }

    /// A filter that the checker accepts.
    pub(super) fn filter(&mut self) -> Expr {
        loop {
            let depth = match self.below(40) {
                0 => 9,
                choice => choice % 4,
            };
            let filter = self.predicate(depth);
            if check(&self.table.schema, &filter).is_ok() {
                return filter;
            }
        }
    }

    // SplitMix64: small, and the same numbers for ever.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    fn pooled(&mut self, name: &str) -> Json {
        let index = self.below(self.pools[name].len());
        self.pools[name][index].clone()
    }

    fn document(&mut self, depth: usize) -> Json {
        let members = (0..=self.below(5)).map(|_| {
            let key = if self.coin() { self.pick(&KEYS[..3]) } else { self.pick(&KEYS) };
            (key.to_owned(), self.json_value(depth))
        });
        Json::Object(members.collect::<Map<_, _>>())
    }

    fn json_value(&mut self, depth: usize) -> Json {
        match self.below(if depth == 0 { 5 } else { 9 }) {
            5 | 6 => (0..self.below(4)).map(|_| self.json_value(depth - 1)).collect(),
            7 => self.document(depth - 1),
            8 => json!(self.below(4)),
            _ => self.pooled(META),
        }
    }

    fn predicate(&mut self, depth: usize) -> Expr {
        match self.below(if depth == 0 { 1 } else { 4 }) {
            0 => self.term(),
            1 => Expr::Not(Box::new(self.predicate(depth - 1))),
            choice => {
                let op = if choice == 2 { BinaryOp::And } else { BinaryOp::Or };
                // One deep side: a tree as wide as it is deep would be all of the batch.
                let other = if depth > 3 { 0 } else { depth - 1 };
                Expr::binary(self.predicate(other), op, self.predicate(depth - 1))
            }
        }
    }

    fn term(&mut self) -> Expr {
        let (column, array) = (self.pick(&COLUMNS), self.pick(&ARRAYS));
        match self.below(34) {
            32 => self.time(),
            33 if self.coin() => self.time(),
            0 => Expr::field("b"),
            1 => match self.below(4) {
                0 => Expr::Literal(Literal::Bool(self.coin())),
                _ => self.constants(),
            },
            2..=5 => self.test(Expr::field(column), column),
            6 | 7 => {
                let path = self.element(array);
                self.test(Expr::Field(path), array)
            }
            8..=10 => {
                let number = self.pick(&INTS);
                let depth = 1 + self.below(3);
                let operand = self.integer(depth, false);
                self.test(operand, number)
            }
            11 | 12 => {
                let number = self.pick(&["f", "d", "i8"]);
                let depth = 1 + self.below(3);
                let operand = self.real(depth, false);
                self.test(operand, number)
            }
            13..=15 => {
                let op = self.pick(&BinaryOp::COMPARISONS);
                let (left, right) = match self.below(6) {
                    0 => (Expr::field("b"), Expr::field("b")),
                    1 => (Expr::field("s"), Expr::field(self.pick(&["s", "S"]))),
                    choice => {
                        let depth = if choice == 2 { 2 } else { 0 };
                        (self.number(depth), self.number(depth))
                    }
                };
                Expr::binary(left, op, right)
            }
            16..=18 => {
                let path = self.path();
                let like = self.found_at(&path);
                self.test_like_value(Expr::Field(path), &like)
            }
            19 | 20 => self.json_arithmetic(),
            21 => {
                let operand = match self.below(5) {
                    4 => FieldPath::new(self.pick(&["t", "u"])),
                    0 => FieldPath::new(array),
                    1 => FieldPath::new(self.pick(&["j", "r"])),
                    2 => FieldPath::new(column),
                    _ => self.path(),
                };
                Expr::IsNull { operand, negated: self.coin() }
            }
            22 => Expr::Exists(self.path()),
            23 | 24 => {
                let (operand, items) = (FieldPath::new(array), self.items(array));
                self.contains(&Function::ALL[1..4], operand, items)
            }
            25 | 26 => {
                let path = self.path();
                let items = self.found_items(&path);
                self.contains(&Function::ALL[4..7], path, items)
            }
            27 | 28 => {
                let (operand, mut items) = match self.coin() {
                    true => (FieldPath::new(array), self.items(array)),
                    false => {
                        let path = self.path();
                        let items = self.found_items(&path);
                        (path, items)
                    }
                };
                if self.below(4) == 0 {
                    items.truncate(1);
                }
                let sides = [Expr::Field(operand), Expr::Literal(Literal::List(items))];
                let [left, right] = sides;
                let op = self.pick(&BinaryOp::COMPARISONS[..2]);
                self.either_side(left, op, right)
            }
            29 => {
                let names: [&str; 3] = ["s", "at", "j"];
                let operand = match self.pick(&names) {
                    "s" => FieldPath::new(self.pick(&["s", "S"])),
                    "at" => self.element("at"),
                    _ => self.path(),
                };
                Expr::Like { operand: Box::new(Expr::Field(operand)), pattern: self.pattern() }
            }
            30 => {
                let depth = self.below(2);
                let (left, right) = (self.number(depth), self.number(0));
                Expr::binary(left, self.pick(&BinaryOp::COMPARISONS), right)
            }
            _ => self.seldom(),
        }
    }

    /// What SQL does not know, and long lists.
    fn seldom(&mut self) -> Expr {
        let text = |text: &str| Literal::Text(text.to_owned());
        let operand = FieldPath::new("s");
        match self.below(20) {
            0 => Expr::Call {
                function: Function::TextMatch,
                operand,
                arguments: vec![text("a b"), Literal::Int(1)],
            },
            1 => {
                Expr::Call { function: Function::PhraseMatch, operand, arguments: vec![text("a")] }
            }
            _ => {
                let column = self.pick(&COLUMNS);
                let list = (0..100 + self.below(100)).map(|_| self.literal(column)).collect();
                Expr::In { operand: Box::new(Expr::field(column)), list, negated: self.coin() }
            }
        }
    }

    /// A comparison of a time, moved or not, with a constant or with the other.
    fn time(&mut self) -> Expr {
        let column = self.pick(&["t", "u"]);
        let field = Expr::field(column);
        let op = self.pick(&BinaryOp::COMPARISONS);
        let mut moment = loop {
            let found = self.pooled(column);
            if let Some(Value::Timestamp(micros)) = found.as_str().and_then(Value::timestamp) {
                break micros;
            }
        };
        let operand = match self.below(4) {
            0 => return Expr::binary(field, op, Expr::field(self.pick(&["t", "u"]))),
            1 => field,
            _ => {
                let days = self.pick(&[0, 0, 1, 30, i32::MAX]);
                let months = if self.below(40) == 0 { 1 } else { 0 };
                let micros = self.pick(&[0, 1, 500_000, 3_600_000_000, i64::MAX]);
                let interval = Interval { months, days, micros };
                let length = i64::from(days).saturating_mul(86_400_000_000).saturating_add(micros);
                let forwards = self.coin();
                let (op, moved) = match forwards {
                    true => (BinaryOp::Add, moment.saturating_add(length)),
                    false => (BinaryOp::Sub, moment.saturating_sub(length)),
                };
                if Value::Timestamp(moved).fits(&Field::new("t", DataType::Timestamptz)) {
                    moment = moved;
                }
                Expr::binary(field, op, Expr::Literal(Literal::Interval(interval)))
            }
        };
        let constant = Expr::Literal(Literal::Timestamp(moment));
        self.either_side(operand, op, constant)
    }

    fn constants(&mut self) -> Expr {
        let op = self.pick(&BinaryOp::COMPARISONS);
        let column = self.pick(&["b", "i8", "i64", "d", "s"]);
        let (left, right) = match self.below(4) {
            0 => (Literal::Timestamp(self.below(3) as i64), Literal::Timestamp(1)),
            1 => (self.literal("i64"), self.literal("d")),
            _ => (self.literal(column), self.literal(column)),
        };
        let (left, right) = (self.constant(left), self.constant(right));
        Expr::binary(left, op, right)
    }

    /// A constant, now and then computed.
    fn constant(&mut self, literal: Literal) -> Expr {
        let whole = Expr::Literal(literal.clone());
        if self.below(4) > 0 {
            return whole;
        }
        let number = |i| Expr::Literal(Literal::Int(i));
        let fraction = |x| Expr::Literal(Literal::Float(x));
        match (literal, self.below(9)) {
            (Literal::Int(i), 0) if i != i64::MIN => {
                Expr::Unary { op: UnaryOp::Negate, operand: Box::new(number(-i)) }
            }
            (Literal::Int(i), 1) => {
                Expr::Unary { op: UnaryOp::BitNot, operand: Box::new(number(!i)) }
            }
            (Literal::Int(i), 2) => Expr::binary(number(i ^ 1234), BinaryOp::BitXor, number(1234)),
            (Literal::Int(i), 3) => Expr::binary(number(i), BinaryOp::BitAnd, number(-1)),
            (Literal::Int(i), 4) => Expr::binary(number(i & !7), BinaryOp::BitOr, number(i & 7)),
            (Literal::Int(i), 5) => Expr::binary(number(i / 2), BinaryOp::Add, number(i - i / 2)),
            (Literal::Int(i), 6) => Expr::binary(number(i), BinaryOp::Div, number(1)),
            (Literal::Int(i), 7) if i > i64::MIN && i < i64::MAX => {
                Expr::binary(number(i), BinaryOp::Mod, number(i64::MAX))
            }
            (Literal::Int(i), _) => Expr::binary(number(i), BinaryOp::Mul, number(1)),
            (Literal::Float(x), 0) => {
                Expr::Unary { op: UnaryOp::Negate, operand: Box::new(fraction(-x)) }
            }
            (Literal::Float(_), 1) => Expr::binary(number(2), BinaryOp::Pow, number(3)),
            (Literal::Float(_), 2) => Expr::binary(number(10), BinaryOp::Pow, fraction(-1.0)),
            (Literal::Float(x), _) => Expr::binary(fraction(x), BinaryOp::Div, number(3)),
            _ => whole,
        }
    }

    /// A test of an operand whose values are like those of a column or array.
    fn test(&mut self, operand: Expr, values: &str) -> Expr {
        let literal = self.literal(values);
        match self.below(8) {
            0 | 1 => {
                let empty = self.below(20) == 0;
                let count = if empty { 0 } else { 1 + self.below(6) };
                let list = (0..count).map(|_| self.literal(values)).collect();
                Expr::In { operand: Box::new(operand), list, negated: self.coin() }
            }
            2 if matches!(literal, Literal::Text(_)) => {
                Expr::Like { operand: Box::new(operand), pattern: self.pattern() }
            }
            3 | 4 => {
                let other = self.literal(values);
                self.range(operand, literal, other)
            }
            _ => self.compared(operand, literal),
        }
    }

    /// A test of a place in JSON, by constants like a value that may be there.
    fn test_like_value(&mut self, operand: Expr, like: &Json) -> Expr {
        let Some(literal) = self.near(like) else {
            let literal = self.literal(META);
            return self.compared(operand, literal);
        };
        match self.below(6) {
            0 | 1 => {
                let kind = std::mem::discriminant(&literal);
                let more = (0..self.below(6)).map(|_| self.literal(META));
                let more: Vec<_> =
                    more.filter(|item| std::mem::discriminant(item) == kind).collect();
                let list = more.into_iter().chain([literal]).collect();
                Expr::In { operand: Box::new(operand), list, negated: self.coin() }
            }
            2 if !matches!(literal, Literal::Bool(_)) => {
                let text = matches!(literal, Literal::Text(_));
                let other = loop {
                    match self.literal(META) {
                        Literal::Bool(_) => {}
                        other if text == matches!(other, Literal::Text(_)) => break other,
                        _ => {}
                    }
                };
                self.range(operand, literal, other)
            }
            _ => self.compared(operand, literal),
        }
    }

    fn compared(&mut self, operand: Expr, literal: Literal) -> Expr {
        let op = self.pick(&BinaryOp::COMPARISONS);
        let constant = self.constant(literal);
        self.either_side(operand, op, constant)
    }

    fn either_side(&mut self, operand: Expr, op: BinaryOp, constant: Expr) -> Expr {
        if self.below(4) == 0 {
            Expr::binary(constant, op, operand)
        } else {
            Expr::binary(operand, op, constant)
        }
    }

    fn range(&mut self, operand: Expr, one: Literal, other: Literal) -> Expr {
        let Expr::Field(operand) = operand else { return self.compared(operand, one) };
        let bound = |value: Literal, inclusive| Bound { value, inclusive };
        let mut bounds = [bound(one, self.coin()), bound(other, self.coin())];
        let value = |literal: &Literal| match literal {
            Literal::Int(i) => Some(*i as f64),
            Literal::Float(x) => Some(*x),
            _ => None,
        };
        let swap = match (&bounds[0].value, &bounds[1].value) {
            (Literal::Text(a), Literal::Text(b)) => a > b,
            (a, b) => value(a) > value(b),
        };
        if swap {
            bounds.reverse();
        }
        let [low, high] = bounds;
        Expr::Range { operand, low, high, descending: self.coin() }
    }

    /// An integer: a column, an element, a length, or what operators make of them.
    fn integer(&mut self, depth: usize, columns: bool) -> Expr {
        if depth > 0 {
            let operand = self.integer(depth - 1, columns);
            let bitwise = self.below(3) == 0;
            let op = if bitwise { self.pick(&BITWISE) } else { self.pick(&ARITHMETIC) };
            return match self.below(8) {
                0 => Expr::Unary {
                    op: self.pick(&[UnaryOp::Negate, UnaryOp::BitNot]),
                    operand: Box::new(operand),
                },
                1 => {
                    let other = self.integer(0, columns);
                    Expr::binary(operand, op, other)
                }
                choice => {
                    let value = match self.below(6) {
                        0 => self.literal("i64"),
                        _ => Literal::Int(self.pick(&[1, 2, 3, -1, -2, 7, 10, 255])),
                    };
                    let constant = self.constant(value);
                    if choice == 2 {
                        Expr::binary(constant, op, operand)
                    } else {
                        Expr::binary(operand, op, constant)
                    }
                }
            };
        }
        match self.below(if columns { 1 } else { 4 }) {
            0 => Expr::field(self.pick(&["i8", "i8", "i16", "i16", "i32", "i64"])),
            1 => Expr::Field(self.element("a8")),
            2 => Expr::Field(self.element("ai")),
            _ => {
                let operand = match self.coin() {
                    true => FieldPath::new(self.pick(&ARRAYS)),
                    false => self.path(),
                };
                Expr::Call { function: Function::ArrayLength, operand, arguments: Vec::new() }
            }
        }
    }

    /// A FLOAT or DOUBLE.
    fn real(&mut self, depth: usize, columns: bool) -> Expr {
        if depth > 0 {
            let operand = self.real(depth - 1, columns);
            let op = self.pick(&ARITHMETIC[..4]);
            return match self.below(6) {
                0 => Expr::Unary { op: UnaryOp::Negate, operand: Box::new(operand) },
                1 => Expr::binary(operand, op, self.integer(0, columns)),
                2 => Expr::binary(self.integer(0, columns), op, operand),
                3 => Expr::binary(operand, op, self.real(0, columns)),
                choice => {
                    let constant = match self.coin() {
                        true => self.pick(&[Literal::Int(3), Literal::Float(0.1)]),
                        false => self.literal("f"),
                    };
                    let constant = self.constant(constant);
                    if choice == 4 {
                        Expr::binary(constant, op, operand)
                    } else {
                        Expr::binary(operand, op, constant)
                    }
                }
            };
        }
        match self.below(if columns { 2 } else { 4 }) {
            0 => Expr::field("f"),
            1 => Expr::field("d"),
            2 => Expr::Field(self.element("af")),
            _ => Expr::Field(self.element("ad")),
        }
    }

    /// A number that is computed from columns alone.
    fn number(&mut self, depth: usize) -> Expr {
        if self.coin() { self.integer(depth, true) } else { self.real(depth, true) }
    }

    fn json_arithmetic(&mut self) -> Expr {
        let path = self.path();
        let value = self.found_at(&path);
        let like = self.near(&value);
        let integral = self.coin();
        let small = self.pick(&[1_i64, 2, 3, -2, 10]);
        let constant = match integral {
            true if self.below(8) == 0 => Literal::Int(self.pick(&[i64::MAX, i64::MIN, 1 << 53])),
            true => Literal::Int(small),
            false => Literal::Float(self.pick(&[0.1, 0.5, 2.0, -1.5])),
        };
        let op = self.pick(&ARITHMETIC);
        let result = match like {
            Some(Literal::Int(i)) if integral => Literal::Int(match op {
                BinaryOp::Add => i.wrapping_add(small),
                BinaryOp::Sub => i.wrapping_sub(small),
                BinaryOp::Mul => i.wrapping_mul(small),
                BinaryOp::Div => i / small,
                _ => i % small,
            }),
            _ if integral => self.literal("i64"),
            _ => loop {
                if let literal @ Literal::Float(_) = self.literal("d") {
                    break literal;
                }
            },
        };
        let (field, constant) = (Expr::Field(path), self.constant(constant));
        let commutes = matches!(op, BinaryOp::Add | BinaryOp::Mul);
        let operand = if commutes && self.below(3) == 0 {
            Expr::binary(constant, op, field)
        } else {
            Expr::binary(field, op, constant)
        };
        if self.below(5) == 0 {
            let list = vec![result];
            return Expr::In { operand: Box::new(operand), list, negated: self.coin() };
        }
        let comparison = self.pick(&BinaryOp::COMPARISONS);
        self.either_side(operand, comparison, Expr::Literal(result))
    }

    fn contains(&mut self, family: &[Function], operand: FieldPath, items: Vec<Literal>) -> Expr {
        let function = self.pick(family);
        let one = matches!(function, Function::ArrayContains | Function::JsonContains);
        let argument = match (one, self.below(12)) {
            (true, _) => items.into_iter().next().unwrap_or(Literal::Int(1)),
            (false, 0) => Literal::List(Vec::new()),
            (false, _) => Literal::List(items),
        };
        Expr::Call { function, operand, arguments: vec![argument] }
    }

    fn element(&mut self, array: &str) -> FieldPath {
        let index = match self.below(30) {
            0 => u32::MAX,
            1 => 9,
            choice => (choice % 3) as u32,
        };
        FieldPath { root: array.to_owned(), steps: vec![Step::Index(index)] }
    }

    /// A way into a document, mostly one that leads somewhere in one of the rows.
    fn path(&mut self) -> FieldPath {
        let root = self.pick(&["j", "j", "r", META, "dyn", KEYS[11]]);
        let index = self.below(self.rows.len());
        let row = &self.rows[index];
        let mut here = match (root, row.get(root)) {
            (META, _) => Json::Object(row.dynamic.clone()),
            (_, Value::Json(document)) => document.clone(),
            (key, _) => row.dynamic.get(key).cloned().unwrap_or(Json::Null),
        };
        let bare = !matches!(root, "j" | "r" | META);
        let mut steps = Vec::new();
        while steps.len() < 4 {
            if !steps.is_empty() && self.below(3) == 0 || steps.is_empty() && bare && self.coin() {
                break;
            }
            let astray = self.below(12) == 0;
            let step = match &here {
                Json::Object(members) if !members.is_empty() && !astray => {
                    let keys: Vec<_> = members.keys().cloned().collect();
                    let key = self.pick(&keys);
                    match key.parse::<u32>() {
                        // The server reads both as one.
                        Ok(index) if index.to_string() == key && self.coin() => Step::Index(index),
                        _ => Step::Key(key),
                    }
                }
                Json::Array(items) if !items.is_empty() && !astray => {
                    let index = self.below(items.len());
                    if self.below(3) == 0 {
                        Step::Key(index.to_string())
                    } else {
                        Step::Index(index as u32)
                    }
                }
                _ if steps.is_empty() || astray => match self.coin() {
                    true => Step::Key(self.pick(&KEYS).to_owned()),
                    false => Step::Index(self.below(4) as u32),
                },
                _ => break,
            };
            here = match (&here, &step) {
                (Json::Object(members), Step::Key(key)) => members.get(key),
                (Json::Array(items), Step::Index(index)) => items.get(*index as usize),
                _ => None,
            }
            .cloned()
            .unwrap_or(Json::Null);
            steps.push(step);
        }
        FieldPath { root: root.to_owned(), steps }
    }

    /// What one of the rows has at a path: plain steps only, which is enough for a hint.
    fn found_at(&mut self, path: &FieldPath) -> Json {
        for _ in 0..8 {
            let index = self.below(self.rows.len());
            let row = &self.rows[index];
            let start = match row.get(&path.root) {
                Value::Json(document) => document.clone(),
                _ if path.root == META => Json::Object(row.dynamic.clone()),
                _ => row.dynamic.get(&path.root).cloned().unwrap_or(Json::Null),
            };
            let found = path.steps.iter().try_fold(&start, |here, step| match step {
                Step::Key(key) => here.get(key),
                Step::Index(index) => here.get(*index as usize),
            });
            if let Some(found) = found.filter(|found| !found.is_null()) {
                return found.clone();
            }
        }
        Json::Null
    }

    /// Constants like the elements of an array that a path leads to.
    fn found_items(&mut self, path: &FieldPath) -> Vec<Literal> {
        let mut items = match self.found_at(path) {
            Json::Array(items) => items.iter().filter_map(exactly).collect(),
            _ => Vec::new(),
        };
        for _ in 0..self.below(3) {
            let value = self.json_value(1);
            items.extend(exactly(&value));
        }
        items
    }

    /// Constants like the elements of an ARRAY column.
    fn items(&mut self, array: &str) -> Vec<Literal> {
        let index = self.below(self.rows.len());
        let found = self.rows[index].get(array).to_json();
        let mut items: Vec<Literal> =
            found.as_array().map_or(Vec::new(), |items| items.iter().filter_map(exactly).collect());
        for _ in 0..self.below(3) {
            items.push(self.literal(array));
        }
        items
    }

    fn pattern(&mut self) -> String {
        let Literal::Text(text) = self.literal("s") else { return "%".to_owned() };
        let mut pattern = String::new();
        for c in text.chars() {
            match (c, self.below(8)) {
                (_, 0) => pattern.push('_'),
                (_, 1) => pattern.push('%'),
                ('%' | '_' | '\\', _) => pattern.extend(['\\', c]),
                (c, 2) => pattern.extend(['\\', c]),
                (c, _) => pattern.push(c),
            }
        }
        pattern + self.pick(&["", "", "%", "_"])
    }

    /// A constant like a field's values, sometimes next to one of them.
    fn literal(&mut self, values: &str) -> Literal {
        loop {
            let mut value = self.pooled(values);
            if let Json::Array(items) = &value {
                value = if items.is_empty() { Json::Null } else { self.pick(items) };
            }
            if let (Some(x), "f" | "d" | "af" | "ad") = (value.as_f64(), values)
                && self.below(4) == 0
            {
                return Literal::Int(x as i64);
            }
            if let Some(literal) = self.near(&value) {
                return literal;
            }
        }
    }

    fn near(&mut self, value: &Json) -> Option<Literal> {
        let near = self.below(5);
        match (exactly(value)?, near) {
            (Literal::Int(i), 0) => Some(Literal::Int(i.saturating_add(1))),
            (Literal::Int(i), 1) => Some(Literal::Int(i.saturating_sub(1))),
            (Literal::Float(x), 0) if x.next_up().is_finite() => Some(Literal::Float(x.next_up())),
            (Literal::List(_), _) => None,
            (literal, _) => Some(literal),
        }
    }
}

fn exactly(value: &Json) -> Option<Literal> {
    match value {
        Json::Bool(b) => Some(Literal::Bool(*b)),
        Json::String(s) => Some(Literal::Text(s.clone())),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => Some(Literal::Int(i)),
            (None, x) => x.map(Literal::Float),
        },
        Json::Array(items) => items.iter().map(exactly).collect::<Option<_>>().map(Literal::List),
        _ => None,
    }
}
