//! Random filters for a schema and its rows.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;

use super::boundary;
use super::spelling::spelled_for;
use crate::filter::{BinaryOp, Expr, FieldPath, Function, Literal, Step};
use crate::milvus::Dialect;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{META, Row, Value};

/// Well-typed filters that the dialect accepts. Literals come half from the rows, half from
/// boundary values.
pub fn filters(schema: &Schema, rows: &[Row], dialect: &Dialect) -> BoxedStrategy<Expr> {
    let terms = Terms { schema, rows, dialect };
    let term = terms.any();
    let negations = if dialect.not { 2 } else { 0 };
    let filters = term.prop_recursive(3, 8, 2, move |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            2 => pair.clone().prop_map(|(a, b)| Expr::binary(a, BinaryOp::And, b)),
            2 => pair.prop_map(|(a, b)| Expr::binary(a, BinaryOp::Or, b)),
            negations => inner.prop_map(|a| Expr::Not(Box::new(a))),
        ]
    });
    let dialect = dialect.clone();
    filters.prop_map(move |filter| spelled_for(filter, &dialect)).boxed()
}

/// Comparisons of a column with a literal of another type, which every engine must refuse: numbers,
/// strings and booleans never mix on declared columns. `None` without a column to compare.
pub(super) fn mistyped(schema: &Schema) -> Option<BoxedStrategy<Expr>> {
    let mut all = Vec::new();
    for field in schema.fields.iter().filter(|field| !field.auto_id) {
        let DataType::Scalar(scalar) = field.data_type else { continue };
        let others = match scalar {
            Scalar::VarChar => vec![Literal::Int(1), Literal::Bool(true)],
            Scalar::Bool => vec![Literal::Int(1), Literal::Text("true".to_owned())],
            _ => vec![Literal::Text("1".to_owned()), Literal::Bool(true)],
        };
        all.extend(others.into_iter().map(|other| (field.name.clone(), other)));
    }
    if all.is_empty() {
        return None;
    }
    let mistyped = (select(all), operators(Scalar::Bool)).prop_map(|((field, literal), op)| {
        Expr::binary(Expr::field(field), op, Expr::Literal(literal))
    });
    Some(mistyped.boxed())
}

struct Terms<'a> {
    schema: &'a Schema,
    rows: &'a [Row],
    dialect: &'a Dialect,
}

type Weighted = Vec<(u32, BoxedStrategy<Expr>)>;

impl Terms<'_> {
    /// A predicate without `and`, `or`, `not`.
    fn any(&self) -> BoxedStrategy<Expr> {
        let mut terms: Weighted = Vec::new();
        for field in self.schema.fields.iter().filter(|field| !field.auto_id) {
            match field.data_type {
                DataType::Scalar(scalar) => self.scalar(&mut terms, field, scalar),
                DataType::Array(element) => self.array(&mut terms, field, element),
                DataType::Json => self.json(&mut terms, &field.name, self.documents(field)),
                _ => continue,
            }
            if field.nullable {
                terms.push((1, is_null(FieldPath::new(&field.name))));
            }
        }
        if self.schema.dynamic {
            let dynamic = self.rows.iter().map(|row| Json::Object(row.dynamic.clone()));
            self.json(&mut terms, META, dynamic.collect());
        }
        self.between_columns(&mut terms);
        proptest::strategy::Union::new_weighted(terms).boxed()
    }

    fn scalar(&self, terms: &mut Weighted, field: &Field, scalar: Scalar) {
        let column = Expr::field(&field.name);
        let literals = self.literals(field, scalar);
        // A key decides little; the other columns are what is under test.
        let weight = if field.primary { 1 } else { 4 };
        terms.push((weight, comparison(column.clone(), scalar, literals.clone())));
        terms.push((weight, in_list(column.clone(), literals.clone())));
        match scalar {
            Scalar::VarChar => {
                terms.push((weight, self.like(column, &self.texts(field))));
            }
            Scalar::Bool => {}
            _ => terms.push((weight.div_ceil(2), self.arithmetic(column, field, scalar))),
        }
    }

    fn array(&self, terms: &mut Weighted, field: &Field, element: Scalar) {
        let path = FieldPath::new(&field.name);
        let literals = self.literals(field, element);
        let length = Expr::Call {
            function: Function::ArrayLength,
            operand: path.clone(),
            arguments: Vec::new(),
        };
        let lengths = select(vec![0, 1, 2, 4]).prop_map(Literal::Int).boxed();
        // A boolean is compared with `==` and `!=` alone.
        let operators = if self.dialect.ordered_length { Scalar::Int64 } else { Scalar::Bool };
        terms.push((2, comparison(length, operators, lengths)));
        let one = self.contained(literals.clone());
        terms.push((2, contains(path.clone(), Function::ArrayContains, one)));
        let list = vec(literals.clone(), 1..=3).prop_map(Literal::List).boxed();
        terms.push((1, contains(path.clone(), Function::ArrayContainsAll, list.clone())));
        terms.push((1, contains(path.clone(), Function::ArrayContainsAny, list)));
        for index in [0, 2] {
            let element_path = FieldPath { steps: vec![Step::Index(index)], ..path.clone() };
            let operand = Expr::Field(element_path);
            terms.push((1, comparison(operand.clone(), element, literals.clone())));
            if self.dialect.in_on_path {
                terms.push((1, in_list(operand, literals.clone())));
            }
        }
    }

    /// Terms on places in JSON: every path that some document has, to two steps.
    fn json(&self, terms: &mut Weighted, root: &str, documents: Vec<Json>) {
        let mut places: BTreeMap<FieldPath, Vec<Json>> = BTreeMap::new();
        for document in &documents {
            let Json::Object(members) = document else { continue };
            for (key, value) in members {
                let path = FieldPath { root: root.to_owned(), steps: vec![Step::Key(key.clone())] };
                if let Json::Object(inner) = value {
                    for (key, value) in inner {
                        let mut path = path.clone();
                        path.steps.push(Step::Key(key.clone()));
                        places.entry(path).or_default().push(value.clone());
                    }
                }
                if let Json::Array(items) = value {
                    let mut path = path.clone();
                    path.steps.push(Step::Index(0));
                    places.entry(path).or_default().extend(items.first().cloned());
                }
                places.entry(path).or_default().push(value.clone());
            }
        }
        // A key that no row has.
        let nowhere = FieldPath { root: root.to_owned(), steps: vec![Step::Key("nowhere".into())] };
        places.entry(nowhere).or_default();
        let weight = |times: usize| if times > 0 { 2 } else { 1 };
        let mut all: Weighted = Vec::new();
        for (path, values) in places {
            let weight = weight(values.len());
            let spelled = spelling(path.clone());
            let compared = values.clone();
            let comparison = spelled.clone().prop_flat_map(move |path| {
                comparison(Expr::Field(path), Scalar::Int64, json_literals(&compared))
            });
            all.push((3 * weight, comparison.boxed()));
            let like = self.like(Expr::Field(path.clone()), &json_texts(&values));
            all.push((weight, like));
            if self.dialect.exists {
                all.push((weight, spelled.clone().prop_map(Expr::Exists).boxed()));
            }
            if self.dialect.is_null_on_path {
                all.push((1, is_null(path.clone())));
            }
            if self.dialect.in_on_path {
                for kind in kinds(&values) {
                    all.push((1, in_list(Expr::Field(path.clone()), kind)));
                }
            }
            let items: Vec<Json> =
                values.iter().filter_map(Json::as_array).flatten().cloned().collect();
            // Milvus Lite has the functions on columns' paths alone.
            if !items.is_empty() && root != META {
                let one = self.contained(json_literals(&items));
                all.push((weight, contains(path.clone(), Function::JsonContains, one)));
                let list = vec(json_literals(&items), 1..=3).prop_map(Literal::List).boxed();
                for function in [Function::JsonContainsAll, Function::JsonContainsAny] {
                    all.push((1, contains(path.clone(), function, list.clone())));
                }
            }
        }
        terms.push((10, proptest::strategy::Union::new_weighted(all).boxed()));
    }

    fn between_columns(&self, terms: &mut Weighted) {
        let scalars = |field: &Field| match field.data_type {
            DataType::Scalar(scalar) if !field.auto_id => Some((field.name.clone(), scalar)),
            _ => None,
        };
        let columns: Vec<_> = self.schema.fields.iter().filter_map(scalars).collect();
        let number =
            |s: Scalar| s.int_range().is_some() || matches!(s, Scalar::Float | Scalar::Double);
        let mut pairs = Vec::new();
        for (i, (left, a)) in columns.iter().enumerate() {
            for (right, b) in &columns[i + 1..] {
                if a == b || number(*a) && number(*b) {
                    pairs.push((left.clone(), right.clone(), *a));
                }
            }
        }
        if !pairs.is_empty() {
            let compared = select(pairs).prop_flat_map(|(left, right, scalar)| {
                operators(scalar)
                    .prop_map(move |op| Expr::binary(Expr::field(&left), op, Expr::field(&right)))
            });
            terms.push((3, compared.boxed()));
        }
    }

    fn arithmetic(&self, column: Expr, field: &Field, scalar: Scalar) -> BoxedStrategy<Expr> {
        let mut ops = vec![BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div];
        let constants: BoxedStrategy<Literal> = if scalar.int_range().is_some() {
            if self.dialect.modulo {
                ops.push(BinaryOp::Mod);
            }
            select(vec![1, 2, 3, 7, -2]).prop_map(Literal::Int).boxed()
        } else {
            select(vec![1.0, 2.0, 0.5, 0.1, 3.0]).prop_map(Literal::Float).boxed()
        };
        let comparisons = if self.dialect.ordered_arithmetic { 0..6 } else { 0..2 };
        let compared = select(BinaryOp::COMPARISONS[comparisons].to_vec());
        let literals = self.literals(field, scalar);
        (select(ops), constants, compared, literals)
            .prop_map(move |(op, constant, compared, literal)| {
                let term = Expr::binary(column.clone(), op, Expr::Literal(constant));
                Expr::binary(term, compared, Expr::Literal(literal))
            })
            .boxed()
    }

    fn like(&self, operand: Expr, texts: &[String]) -> BoxedStrategy<Expr> {
        let boundaries = select(boundary::TEXTS.map(str::to_owned).to_vec());
        let text = if texts.is_empty() {
            boundaries.boxed()
        } else {
            prop_oneof![select(texts.to_vec()), boundaries].boxed()
        };
        let (infix, escapes) = (self.dialect.like_infix, self.dialect.like_escape);
        (text, 0usize..4, 0usize..4, 0u8..8)
            .prop_map(move |(text, from, length, form)| {
                let text = if escapes { text } else { text.replace(['%', '_', '\\'], "") };
                let part: String = text.chars().skip(from).take(length).collect();
                let part = escape(&part);
                let pattern = match form {
                    _ if !infix => format!("{part}%"),
                    0 | 1 => format!("{part}%"),
                    2 => format!("%{part}"),
                    3 => format!("%{part}%"),
                    4 | 5 => escape(&text),
                    // One character of the text replaced by the wildcard for one.
                    _ => {
                        let one = |(i, c): (usize, char)| {
                            if i == from { "_".to_owned() } else { escape(&c.to_string()) }
                        };
                        text.chars().enumerate().map(one).collect()
                    }
                };
                Expr::Like { operand: Box::new(operand.clone()), pattern }
            })
            .boxed()
    }

    /// Literals for a column or its elements: half from the rows, half boundaries.
    fn literals(&self, field: &Field, scalar: Scalar) -> BoxedStrategy<Literal> {
        let mut data = Vec::new();
        for row in self.rows {
            match row.get(&field.name) {
                Value::Array(items) => data.extend(items.iter().filter_map(literal)),
                value => data.extend(literal(value)),
            }
        }
        let boundaries: Vec<Literal> = match scalar {
            Scalar::Bool => vec![Literal::Bool(true), Literal::Bool(false)],
            Scalar::Float => boundary::floats().into_iter().map(short).collect(),
            Scalar::Double => boundary::DOUBLES.into_iter().map(Literal::Float).collect(),
            Scalar::VarChar => boundary::TEXTS.map(|s| Literal::Text(s.to_owned())).to_vec(),
            // Also beyond the column's own type: that must not wrap.
            _ => boundary::ints(Scalar::Int64).into_iter().map(Literal::Int).collect(),
        };
        half(data, boundaries)
    }

    /// Literals that the engine takes as the one element of a contains function.
    fn contained(&self, literals: BoxedStrategy<Literal>) -> BoxedStrategy<Literal> {
        if self.dialect.negative_contains {
            return literals;
        }
        let positive = |literal| match literal {
            Literal::Int(i) => Literal::Int(i.checked_abs().unwrap_or(i64::MAX)),
            Literal::Float(x) => Literal::Float(x.abs()),
            other => other,
        };
        literals.prop_map(positive).boxed()
    }

    fn texts(&self, field: &Field) -> Vec<String> {
        let text = |row: &Row| match row.get(&field.name) {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.rows.iter().filter_map(text).collect()
    }

    fn documents(&self, field: &Field) -> Vec<Json> {
        let document = |row: &Row| match row.get(&field.name) {
            Value::Json(json) => Some(json.clone()),
            _ => None,
        };
        self.rows.iter().filter_map(document).collect()
    }
}

/// Half of the choices from the data, half from the boundaries.
fn half(data: Vec<Literal>, boundaries: Vec<Literal>) -> BoxedStrategy<Literal> {
    if data.is_empty() {
        select(boundaries).boxed()
    } else {
        prop_oneof![select(data), select(boundaries)].boxed()
    }
}

fn literal(value: &Value) -> Option<Literal> {
    match value {
        Value::Bool(b) => Some(Literal::Bool(*b)),
        Value::Int(i) => Some(Literal::Int(*i)),
        Value::Float(x) => Some(short(*x)),
        Value::Double(x) => Some(Literal::Float(*x)),
        Value::Text(s) => Some(Literal::Text(s.clone())),
        _ => None,
    }
}

/// A FLOAT as a person would write it: 0.1, not 0.10000000149011612.
fn short(x: f32) -> Literal {
    Literal::Float(x.to_string().parse().unwrap_or(f64::from(x)))
}

fn operators(scalar: Scalar) -> BoxedStrategy<BinaryOp> {
    if scalar == Scalar::Bool {
        select(vec![BinaryOp::Eq, BinaryOp::Ne]).boxed()
    } else {
        select(&BinaryOp::COMPARISONS[..]).boxed()
    }
}

fn comparison(
    operand: Expr,
    scalar: Scalar,
    literals: BoxedStrategy<Literal>,
) -> BoxedStrategy<Expr> {
    (operators(scalar), operators(Scalar::Bool), literals, 0u8..8)
        .prop_map(move |(op, equality, literal, side)| {
            // A place in JSON may be compared with a boolean, which has no order.
            let op = if matches!(literal, Literal::Bool(_)) { equality } else { op };
            match (side, &operand) {
                // Every dialect reads `5 < a` as well.
                (0, Expr::Field(_)) => Expr::binary(Expr::Literal(literal), op, operand.clone()),
                _ => Expr::binary(operand.clone(), op, Expr::Literal(literal)),
            }
        })
        .boxed()
}

fn in_list(operand: Expr, literals: BoxedStrategy<Literal>) -> BoxedStrategy<Expr> {
    (vec(literals, 1..=5), any::<bool>())
        .prop_map(move |(list, negated)| Expr::In {
            operand: Box::new(operand.clone()),
            list,
            negated,
        })
        .boxed()
}

fn contains(
    operand: FieldPath,
    function: Function,
    argument: BoxedStrategy<Literal>,
) -> BoxedStrategy<Expr> {
    argument
        .prop_map(move |argument| Expr::Call {
            function,
            operand: operand.clone(),
            arguments: vec![argument],
        })
        .boxed()
}

fn is_null(operand: FieldPath) -> BoxedStrategy<Expr> {
    any::<bool>()
        .prop_map(move |negated| Expr::IsNull { operand: operand.clone(), negated })
        .boxed()
}

/// A dynamic key goes by its bare name or through `$meta`.
fn spelling(path: FieldPath) -> BoxedStrategy<FieldPath> {
    match path.steps.split_first() {
        Some((Step::Key(key), rest)) if path.root == META => {
            let bare = FieldPath { root: key.clone(), steps: rest.to_vec() };
            select(vec![path.clone(), bare]).boxed()
        }
        _ => Just(path).boxed(),
    }
}

fn json_literal(json: &Json) -> Option<Literal> {
    match json {
        Json::Bool(b) => Some(Literal::Bool(*b)),
        Json::Number(n) => n.as_i64().map(Literal::Int).or(n.as_f64().map(Literal::Float)),
        Json::String(s) => Some(Literal::Text(s.clone())),
        _ => None,
    }
}

fn json_literals(values: &[Json]) -> BoxedStrategy<Literal> {
    let data = values.iter().filter_map(json_literal).collect();
    half(data, boundary::json_scalars().iter().filter_map(json_literal).collect())
}

fn json_texts(values: &[Json]) -> Vec<String> {
    values.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// The literals of a place, kind by kind: a list must not mix them.
fn kinds(values: &[Json]) -> Vec<BoxedStrategy<Literal>> {
    let mut kinds: Vec<Vec<Literal>> = Vec::new();
    for literal in values.iter().filter_map(json_literal) {
        let same = |kind: &&mut Vec<Literal>| {
            kind.first().map(std::mem::discriminant) == Some(std::mem::discriminant(&literal))
        };
        match kinds.iter_mut().find(same) {
            Some(kind) => kind.push(literal),
            None => kinds.push(vec![literal]),
        }
    }
    kinds.into_iter().map(|kind| select(kind).boxed()).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
