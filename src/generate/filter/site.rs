//! What filters can be about: every place that a schema and its rows have, with the constants that
//! are found there.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Chance;
use crate::filter::grammar::{Kind, Operand};
use crate::filter::{FieldPath, Literal, Step};
use crate::generate::boundary;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{META, Row, Value};

/// A place that a filter can name.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub operand: Operand,
    pub path: FieldPath,
    /// Of a member of structs, the array that they are in.
    pub array: Option<String>,
    /// The single values that rows have there, or in the array that they have there.
    pub values: Vec<Literal>,
    /// The arrays that rows have there.
    pub arrays: Vec<Vec<Literal>>,
}

impl Site {
    /// The type of the single values; `None` in JSON, where each row decides.
    pub fn scalar(&self) -> Option<Scalar> {
        match self.operand.kind {
            Kind::Array(scalar) => Some(scalar),
            kind => kind.scalar(),
        }
    }

    pub fn is_json(&self) -> bool {
        self.operand.kind.is_json_path()
    }

    pub fn is_array(&self) -> bool {
        matches!(self.operand.kind, Kind::Array(_))
    }
}

/// Every place, in the order of the schema.
pub(super) fn sites(schema: &Schema, rows: &[Row]) -> Vec<Site> {
    let mut all = Vec::new();
    // A key that the engine assigns has another value there than here.
    for field in schema.fields.iter().filter(|field| !field.auto_id) {
        match field.data_type {
            DataType::Scalar(scalar) => {
                let values = rows.iter().filter_map(|row| literal(row.get(&field.name)));
                all.push(site(field, Kind::Column(scalar), Vec::new(), values.collect()));
            }
            DataType::Geometry => {
                let text = |row: &Row| match row.get(&field.name) {
                    Value::Geometry(text) => Some(Literal::Text(text.clone())),
                    _ => None,
                };
                let values = rows.iter().filter_map(text).collect();
                all.push(site(field, Kind::Geometry, Vec::new(), values));
            }
            DataType::Timestamptz => {
                let values = rows.iter().filter_map(|row| literal(row.get(&field.name)));
                all.push(site(field, Kind::Timestamp, Vec::new(), values.collect()));
            }
            DataType::StructArray => structs(&mut all, field, rows),
            DataType::Array(element) => arrays(&mut all, field, element, rows),
            DataType::Json => {
                all.push(site(field, Kind::Json, Vec::new(), Vec::new()));
                let document = |row: &Row| match row.get(&field.name) {
                    Value::Json(json) => Some(json.clone()),
                    _ => None,
                };
                let documents: Vec<Json> = rows.iter().filter_map(document).collect();
                all.extend(json(schema, &field.name, &documents));
            }
            _ => {}
        }
    }
    if schema.dynamic {
        let documents: Vec<Json> =
            rows.iter().map(|row| Json::Object(row.dynamic.clone())).collect();
        let through_meta = json(schema, META, &documents);
        let bare: Vec<Site> = through_meta.iter().filter_map(|site| bare(schema, site)).collect();
        all.extend(through_meta);
        all.extend(bare);
    }
    all
}

fn site(field: &Field, kind: Kind, steps: Vec<Step>, values: Vec<Literal>) -> Site {
    Site {
        operand: Operand { kind, nullable: field.nullable },
        path: FieldPath { root: field.name.clone(), steps },
        array: None,
        values,
        arrays: Vec::new(),
    }
}

/// A whole array, its first elements, and one beyond most arrays' ends.
fn arrays(all: &mut Vec<Site>, field: &Field, element: Scalar, rows: &[Row]) {
    let found = rows.iter().filter_map(|row| match row.get(&field.name) {
        Value::Array(items) => Some(items.iter().filter_map(literal).collect()),
        _ => None,
    });
    let found: Vec<Vec<Literal>> = found.collect();
    let values: Vec<Literal> = found.iter().flatten().cloned().collect();
    for index in [0, 1, 2, 9] {
        let steps = vec![Step::Index(index)];
        all.push(site(field, Kind::Element(element), steps, values.clone()));
    }
    let whole = site(field, Kind::Array(element), Vec::new(), values);
    all.push(Site { arrays: found, ..whole });
}

/// A whole array of structs, and their members.
fn structs(all: &mut Vec<Site>, field: &Field, rows: &[Row]) {
    all.push(site(field, Kind::Structs, Vec::new(), Vec::new()));
    for member in &field.members {
        let DataType::Scalar(scalar) = member.data_type else { continue };
        let found = rows.iter().flat_map(|row| match row.get(&field.name) {
            Value::Structs(structs) => structs.as_slice(),
            _ => &[],
        });
        let values = found.filter_map(|members| literal(members.get(&member.name)?)).collect();
        all.push(Site {
            path: FieldPath::member(&member.name),
            array: Some(field.name.clone()),
            ..site(member, Kind::Member(scalar), Vec::new(), values)
        });
    }
}

/// Places in JSON: every path that some document has, to two steps, and some that none may have.
fn json(schema: &Schema, root: &str, documents: &[Json]) -> Vec<Site> {
    let key = |key: &str| Step::Key(key.to_owned());
    let mut places: BTreeMap<Vec<Step>, Vec<&Json>> = BTreeMap::new();
    // So that no kind of place is missing where rows are few.
    for steps in
        [vec![key("nowhere")], vec![key("nowhere"), key("a")], vec![key("nowhere"), Step::Index(0)]]
    {
        places.entry(steps).or_default();
    }
    for document in documents {
        let Json::Object(members) = document else { continue };
        for (name, value) in members {
            let inside = |step: Step| vec![key(name), step];
            match value {
                Json::Object(inner) => {
                    for (inner, value) in inner {
                        places.entry(inside(key(inner))).or_default().push(value);
                    }
                }
                Json::Array(items) => {
                    for (index, item) in items.iter().enumerate().take(2) {
                        let index = Step::Index(index as u32);
                        places.entry(inside(index)).or_default().push(item);
                    }
                }
                _ => {}
            }
            places.entry(vec![key(name)]).or_default().push(value);
        }
    }
    let site = |(steps, found): (Vec<Step>, Vec<&Json>)| {
        let path = FieldPath { root: root.to_owned(), steps };
        let arrays = found.iter().filter_map(|json| json.as_array());
        Some(Site {
            operand: Operand::of(schema, &path)?,
            path,
            array: None,
            values: found.iter().filter_map(|json| json_literal(json)).collect(),
            arrays: arrays.map(|items| items.iter().filter_map(json_literal).collect()).collect(),
        })
    };
    places.into_iter().filter_map(site).collect()
}

/// A dynamic key by its bare name.
fn bare(schema: &Schema, site: &Site) -> Option<Site> {
    let (first, rest) = site.path.steps.split_first()?;
    let Step::Key(key) = first else { return None };
    let path = FieldPath { root: key.clone(), steps: rest.to_vec() };
    Some(Site { operand: Operand::of(schema, &path)?, path, ..site.clone() })
}

fn literal(value: &Value) -> Option<Literal> {
    match value {
        Value::Bool(b) => Some(Literal::Bool(*b)),
        Value::Int(i) => Some(Literal::Int(*i)),
        Value::Float(x) => Some(short(*x)),
        Value::Double(x) => Some(Literal::Float(*x)),
        Value::Text(s) => Some(Literal::Text(s.clone())),
        Value::Timestamp(micros) => Some(Literal::Timestamp(*micros)),
        _ => None,
    }
}

/// A FLOAT as a person would write it: 0.1, not 0.10000000149011612.
fn short(x: f32) -> Literal {
    Literal::Float(x.to_string().parse().unwrap_or(f64::from(x)))
}

fn json_literal(json: &Json) -> Option<Literal> {
    match json {
        Json::Bool(b) => Some(Literal::Bool(*b)),
        Json::Number(n) => n.as_i64().map(Literal::Int).or(n.as_f64().map(Literal::Float)),
        Json::String(s) => Some(Literal::Text(s.clone())),
        _ => None,
    }
}

/// The constants at which implementations go wrong, as literals.
pub(super) struct Boundaries {
    pub ints: Vec<Literal>,
    floats: Vec<Literal>,
    doubles: Vec<Literal>,
    texts: Vec<Literal>,
    json: Vec<Literal>,
}

impl Boundaries {
    pub fn new() -> Boundaries {
        Boundaries {
            // Also beyond a column's own type: that must not wrap.
            ints: boundary::ints(Scalar::Int64).into_iter().map(Literal::Int).collect(),
            floats: boundary::floats().into_iter().map(short).collect(),
            doubles: boundary::DOUBLES.iter().map(|x| Literal::Float(*x)).collect(),
            texts: boundary::TEXTS.iter().map(|s| Literal::Text((*s).to_owned())).collect(),
            json: boundary::json_scalars().iter().filter_map(json_literal).collect(),
        }
    }

    /// One for this type; `None` stands for JSON.
    pub fn pick(&self, chance: &mut Chance, scalar: Option<Scalar>) -> Literal {
        let all = match scalar {
            Some(Scalar::Bool) => return Literal::Bool(chance.one_in(2)),
            Some(Scalar::Float) => &self.floats,
            Some(Scalar::Double) => &self.doubles,
            Some(Scalar::VarChar) => &self.texts,
            Some(_) => &self.ints,
            None => &self.json,
        };
        chance.pick(all).cloned().unwrap_or(Literal::Int(0))
    }
}
