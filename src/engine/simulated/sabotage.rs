//! Where faults do their work on reads: on the filter, on the rows it is asked about, and on the
//! rows that go out. Faults of writes and of the server's life are a line each in `node`.

use std::borrow::Cow;

use half::{bf16, f16};
use serde_json::{Number, Value as Json};

use super::fault::Fault;
use super::reply::{Failure, Reply, no_plan};
use crate::filter::check::{Place, resolve};
use crate::filter::{
    BinaryOp, Elements, Expr, Function, Literal, Semantics, Step, Truth, Undefined, evaluate,
};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Row, Value};

/// The faults of one server, and what they need to remember.
#[derive(Debug)]
pub(super) struct Sabotage {
    faults: Vec<Fault>,
    semantics: Semantics,
    queries: u64,
}

impl Sabotage {
    pub(super) fn new(faults: Vec<Fault>) -> Sabotage {
        let semantics = semantics(&faults);
        Sabotage { faults, semantics, queries: 0 }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub(super) fn is_fatal(&self, call: &str) -> bool {
        self.faults.iter().any(|fault| fault.fatal_call() == Some(call))
    }

    /// Fails on well-formed filters that this server does not stand.
    pub(super) fn survive(&self, expr: &Expr) -> Reply<()> {
        let uses = |op: BinaryOp| {
            any(expr, &|part| matches!(part, Expr::Binary { op: other, .. } if *other == op))
        };
        let likes = || any(expr, &|part| matches!(part, Expr::Like { .. }));
        for fault in &self.faults {
            match fault {
                Fault::OperatorRejected if likes() => return Err(no_plan("like is not supported")),
                Fault::HangOnModulo if uses(BinaryOp::Mod) => return Err(Failure::Hang),
                Fault::CrashOnDivision if uses(BinaryOp::Div) => return Err(Failure::Crash),
                _ => {}
            }
        }
        Ok(())
    }

    /// The filter as this server understands it.
    pub(super) fn misread(&self, schema: &Schema, expr: Expr) -> Expr {
        let mut expr = expr;
        for child in expr.children_mut() {
            let part = std::mem::replace(child, Expr::Literal(Literal::Bool(false)));
            *child = self.misread(schema, part);
        }
        self.faults.iter().fold(expr, |expr, fault| misread_node(*fault, schema, expr))
    }

    /// Whether a row matches. A row on which the documentation leaves the answer open does not.
    pub(super) fn matches(&self, schema: &Schema, expr: &Expr, row: &Row) -> bool {
        let row = self.view(schema, row);
        evaluate(expr, schema, &row, self.semantics) == Ok(Truth::True)
    }

    /// Why a filter cannot be computed on a row, if it cannot.
    pub(super) fn fails(&self, schema: &Schema, expr: &Expr, row: &Row) -> Option<Undefined> {
        evaluate(expr, schema, &self.view(schema, row), self.semantics).err()
    }

    /// The row as filters see it.
    fn view<'a>(&self, schema: &Schema, row: &'a Row) -> Cow<'a, Row> {
        let mut row = Cow::Borrowed(row);
        for fault in &self.faults {
            match fault {
                Fault::DynamicKeyIgnored => row.to_mut().dynamic.clear(),
                Fault::NullMatchesDefault => {
                    let scalar = |f: &&Field| matches!(f.data_type, DataType::Scalar(_));
                    fill_nulls(row.to_mut(), schema.fields.iter().filter(scalar));
                }
                Fault::CaseInsensitiveStrings => {
                    let row = row.to_mut();
                    row.fields.values_mut().for_each(lowercase);
                    change_json(row, &|json| {
                        if let Json::String(text) = json {
                            text.make_ascii_lowercase();
                        }
                    });
                }
                Fault::JsonStringIsNumber => change_json(row.to_mut(), &|json| {
                    let text = json.as_str().unwrap_or_default();
                    let int = text.parse::<i64>().ok().map(Number::from);
                    let number = int.or_else(|| Number::from_f64(text.parse().ok()?));
                    if let Some(number) = number {
                        *json = Json::Number(number);
                    }
                }),
                Fault::JsonIntIsDouble => change_json(row.to_mut(), &|json| {
                    if let Some(double) = json.as_f64() {
                        *json = Json::from(double);
                    }
                }),
                _ => {}
            }
        }
        row
    }

    /// The matches of a query as this server returns them.
    pub(super) fn tamper_matches(&mut self, rows: &mut Vec<&Row>) {
        self.queries += 1;
        for fault in &self.faults {
            match fault {
                Fault::DropLastMatch if rows.len() >= 2 => {
                    rows.pop();
                }
                Fault::UnrepeatableDrop if self.queries % 2 == 1 => {
                    rows.pop();
                }
                Fault::DuplicateRow if rows.len() >= 2 => rows.insert(0, rows[0]),
                Fault::TruncateAtHundred => rows.truncate(100),
                _ => {}
            }
        }
    }

    /// What an insert stores where a row has no value for a field with a default.
    pub(super) fn fill_defaults(&self, schema: &Schema, rows: &mut [Row]) {
        for field in schema.fields.iter().filter(|field| field.default.is_some()) {
            for row in rows.iter_mut().filter(|row| *row.get(&field.name) == Value::Null) {
                let forgotten = self.has(Fault::DefaultNotApplied);
                let value = if forgotten { Value::plain(field) } else { field.absent() };
                row.fields.insert(field.name.clone(), value);
            }
        }
    }

    /// Whether a row is in a partition that this server has lost.
    pub(super) fn is_lost(&self, schema: &Schema, row: &Row) -> bool {
        let key = schema.fields.iter().find(|field| field.partition_key);
        self.has(Fault::PartitionKeyRowsLost)
            && key.is_some_and(|field| match row.get(&field.name) {
                Value::Int(i) => i % 2 != 0,
                Value::Text(text) => text.len() % 2 != 0,
                _ => false,
            })
    }

    /// The returned values as this server encodes them.
    pub(super) fn tamper_values(&self, rows: &mut [Row], output: &[&Field]) {
        for fault in &self.faults {
            match fault {
                Fault::WrongValue => {
                    let value = rows.first_mut().and_then(|row| {
                        let mut payload = output.iter().filter(|field| !field.primary);
                        let blank = [Value::Null, Value::Array(Vec::new())];
                        let field = payload.find(|field| !blank.contains(row.get(&field.name)))?;
                        row.fields.get_mut(&field.name)
                    });
                    if let Some(value) = value {
                        alter(value);
                    }
                }
                Fault::NullBecomesDefault => {
                    rows.iter_mut().for_each(|row| fill_nulls(row, output.iter().copied()));
                }
                fault => {
                    let values = rows.iter_mut().flat_map(|row| row.fields.values_mut());
                    values.for_each(|value| tamper_value(*fault, value));
                }
            }
        }
    }
}

/// One fault on one value.
fn tamper_value(fault: Fault, value: &mut Value) {
    match (fault, value) {
        (Fault::FloatOutputDrifts, Value::Float(x)) => *x = x.next_up(),
        (Fault::VectorComponentOff, Value::Vector(items)) => {
            items.iter_mut().next_back().into_iter().for_each(|x| *x = x.next_up());
        }
        (Fault::VectorComponentOff, Value::BinaryVector(bytes)) => {
            bytes.iter_mut().next_back().into_iter().for_each(|byte| *byte ^= 1);
        }
        (Fault::VectorComponentOff, Value::Float16Vector(items)) => {
            let last = items.iter_mut().next_back().into_iter();
            last.for_each(|x| *x = f16::from_bits(x.to_bits() ^ 1));
        }
        (Fault::VectorComponentOff, Value::BFloat16Vector(items)) => {
            let last = items.iter_mut().next_back().into_iter();
            last.for_each(|x| *x = bf16::from_bits(x.to_bits() ^ 1));
        }
        (Fault::VectorComponentOff, Value::Int8Vector(items)) => {
            items.iter_mut().next_back().into_iter().for_each(|x| *x ^= 1);
        }
        (Fault::SparseEntryLost, Value::SparseVector(entries)) if entries.len() >= 2 => {
            entries.pop_last();
        }
        (Fault::HalfSubnormalLost, Value::Float16Vector(items)) => {
            items.iter_mut().filter(|x| !x.is_normal()).for_each(|x| *x = f16::ZERO);
        }
        (Fault::TimestampInMilliseconds, Value::Timestamp(micros)) => {
            *micros -= micros.rem_euclid(1000);
        }
        (Fault::GeometryWithoutFractions, Value::Geometry(text)) => {
            let mut parts = text.split('.');
            let mut whole = parts.next().unwrap_or_default().to_owned();
            parts.for_each(|part| {
                whole.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()))
            });
            *text = whole;
        }
        (Fault::StructsReversed, Value::Structs(structs)) => structs.reverse(),
        _ => {}
    }
}

/// The rules as this server takes them.
fn semantics(faults: &[Fault]) -> Semantics {
    let switch = |fault: &Fault| match fault {
        Fault::Turned(switch) => Some(*switch),
        _ => None,
    };
    faults.iter().filter_map(switch).collect()
}

/// One fault on one node, whose children have been misread already.
fn misread_node(fault: Fault, schema: &Schema, expr: Expr) -> Expr {
    use BinaryOp::{Add, And, Le, Lt, Or};
    match (fault, expr) {
        (Fault::LessThanIncludesEqual, Expr::Binary { op: Lt, left, right }) => {
            Expr::Binary { op: Le, left, right }
        }
        (Fault::InIgnoresLast, Expr::In { operand, mut list, negated }) => {
            list.truncate(list.len().saturating_sub(1).max(1));
            Expr::In { operand, list, negated }
        }
        (Fault::LikePercentIsPrefix, Expr::Like { operand, pattern })
            if pattern.starts_with('%') =>
        {
            let pattern = format!("{}%", pattern.trim_start_matches('%'));
            Expr::Like { operand, pattern }
        }
        (Fault::IntLiteralWraps, Expr::Binary { op, mut left, mut right }) => {
            let (a, b) = (column_type(schema, &left), column_type(schema, &right));
            for (part, column) in [(&mut left, b), (&mut right, a)] {
                if let Expr::Literal(literal) = &mut **part {
                    wrap(literal, column);
                }
            }
            Expr::Binary { op, left, right }
        }
        (Fault::IntLiteralWraps, Expr::In { operand, mut list, negated }) => {
            let column = column_type(schema, &operand);
            list.iter_mut().for_each(|literal| wrap(literal, column));
            Expr::In { operand, list, negated }
        }
        (Fault::ArrayIndexShifted, Expr::Field(mut path)) => {
            if matches!(resolve(schema, &path), Ok(Place::Element(..)))
                && let [Step::Index(index)] = path.steps.as_mut_slice()
            {
                *index = index.saturating_add(1);
            }
            Expr::Field(path)
        }
        (Fault::ArrayLengthOffByOne, call @ Expr::Call { function: Function::ArrayLength, .. }) => {
            Expr::binary(call, Add, Expr::Literal(Literal::Int(1)))
        }
        (Fault::ThresholdOffByOne, Expr::Elements { elements, field, predicate }) => {
            let elements = match elements {
                Elements::Least(n) => Elements::Least(n.saturating_add(1)),
                Elements::Most(n) => Elements::Most(n.saturating_add(1)),
                Elements::Exact(n) => Elements::Exact(n.saturating_add(1)),
                other => other,
            };
            Expr::Elements { elements, field, predicate }
        }
        (Fault::ContainsAnyMeansAll, Expr::Call { function, operand, arguments }) => {
            let function = match function {
                Function::ArrayContainsAny => Function::ArrayContainsAll,
                Function::JsonContainsAny => Function::JsonContainsAll,
                other => other,
            };
            Expr::Call { function, operand, arguments }
        }
        (Fault::AndOrSwapped, Expr::Binary { op: Or, left, right }) => match *left {
            Expr::Binary { op: And, left: a, right: b } => {
                Expr::binary(*a, And, Expr::Binary { op: Or, left: b, right })
            }
            left => Expr::binary(left, Or, *right),
        },
        (Fault::DeMorganForgotten, Expr::Not(inner)) => match *inner {
            Expr::Binary { op: op @ (And | Or), left, right } => {
                Expr::binary(Expr::Not(left), op, Expr::Not(right))
            }
            inner => Expr::Not(Box::new(inner)),
        },
        (Fault::ConstantFirstNotMirrored, Expr::Binary { op, left, right })
            if op.is_comparison() && matches!(*left, Expr::Literal(_)) =>
        {
            Expr::Binary { op, left: right, right: left }
        }
        (Fault::CaseInsensitiveStrings, Expr::Literal(mut literal)) => {
            lowercase_literal(&mut literal);
            Expr::Literal(literal)
        }
        (Fault::CaseInsensitiveStrings, Expr::In { operand, mut list, negated }) => {
            list.iter_mut().for_each(lowercase_literal);
            Expr::In { operand, list, negated }
        }
        (Fault::CaseInsensitiveStrings, Expr::Like { operand, pattern }) => {
            Expr::Like { operand, pattern: pattern.to_ascii_lowercase() }
        }
        (Fault::CaseInsensitiveStrings, Expr::Call { function, operand, mut arguments }) => {
            arguments.iter_mut().for_each(lowercase_literal);
            Expr::Call { function, operand, arguments }
        }
        (_, expr) => expr,
    }
}

fn any(expr: &Expr, predicate: &impl Fn(&Expr) -> bool) -> bool {
    let mut found = false;
    expr.for_each_node(&mut |node| found |= predicate(node));
    found
}

fn column_type(schema: &Schema, expr: &Expr) -> Option<Scalar> {
    let Expr::Field(path) = expr else { return None };
    match resolve(schema, path) {
        Ok(Place::Column(_, scalar)) => Some(scalar),
        _ => None,
    }
}

fn wrap(literal: &mut Literal, column: Option<Scalar>) {
    if let Literal::Int(i) = literal {
        *i = match column {
            Some(Scalar::Int8) => i64::from(*i as i8),
            Some(Scalar::Int16) => i64::from(*i as i16),
            Some(Scalar::Int32) => i64::from(*i as i32),
            _ => *i,
        };
    }
}

fn lowercase_literal(literal: &mut Literal) {
    match literal {
        Literal::Text(text) => text.make_ascii_lowercase(),
        Literal::List(items) => items.iter_mut().for_each(lowercase_literal),
        _ => {}
    }
}

fn lowercase(value: &mut Value) {
    match value {
        Value::Text(text) => text.make_ascii_lowercase(),
        Value::Array(items) => items.iter_mut().for_each(lowercase),
        Value::Structs(structs) => {
            structs.iter_mut().flat_map(|members| members.values_mut()).for_each(lowercase);
        }
        _ => {}
    }
}

/// Applies a change to every JSON value of a row, the innermost first.
fn change_json(row: &mut Row, change: &impl Fn(&mut Json)) {
    fn inwards(json: &mut Json, change: &impl Fn(&mut Json)) {
        match json {
            Json::Array(items) => items.iter_mut().for_each(|item| inwards(item, change)),
            Json::Object(members) => members.values_mut().for_each(|item| inwards(item, change)),
            _ => {}
        }
        change(json);
    }
    row.dynamic.values_mut().for_each(|json| inwards(json, change));
    for value in row.fields.values_mut() {
        if let Value::Json(json) = value {
            inwards(json, change);
        }
    }
}

fn fill_nulls<'a>(row: &mut Row, fields: impl Iterator<Item = &'a Field>) {
    for field in fields.filter(|field| field.nullable) {
        let value = row.fields.entry(field.name.clone()).or_insert(Value::Null);
        if *value == Value::Null {
            *value = Value::plain(field);
        }
    }
}

/// Another value of the same type.
fn alter(value: &mut Value) {
    match value {
        Value::Null => {}
        Value::Bool(b) => *b = !*b,
        // Towards zero or to 1, so that it stays in the range of the field.
        Value::Int(i) => *i = if *i == 0 { 1 } else { *i - i.signum() },
        Value::Float(x) => *x = if *x == 0.0 { 1.0 } else { 0.0 },
        Value::Double(x) => *x = if *x == 0.0 { 1.0 } else { 0.0 },
        Value::Text(text) => {
            if text.pop().is_none() {
                text.push('?');
            }
        }
        Value::Json(json) => *json = serde_json::json!({ "altered": json.take() }),
        Value::Array(items) => items.iter_mut().take(1).for_each(alter),
        Value::Timestamp(micros) => *micros -= micros.signum().max(1),
        Value::Geometry(text) => *text = "POINT (1 1)".to_owned(),
        Value::Structs(structs) => {
            structs.iter_mut().take(1).flat_map(|members| members.values_mut()).for_each(alter);
        }
        Value::Vector(items) => items.iter_mut().for_each(|x| *x += 1.0),
        Value::BinaryVector(bytes) => bytes.iter_mut().for_each(|byte| *byte = !*byte),
        Value::Float16Vector(items) => items.iter_mut().for_each(|x| *x = -*x),
        Value::BFloat16Vector(items) => items.iter_mut().for_each(|x| *x = -*x),
        Value::Int8Vector(items) => items.iter_mut().for_each(|x| *x ^= 1),
        Value::SparseVector(values) => values.values_mut().for_each(|x| *x += 1.0),
    }
}
