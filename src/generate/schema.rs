//! Random schemas.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::rows::value;
use crate::milvus::{Dialect, SchemaFeature};
use crate::schema::{DataType, Field, Metric, Scalar, Schema};
use crate::value::Value;

/// The dimension of generated vectors. Filters do not look into them; they must only come back.
const DIM: u16 = 2;
const MOST_FIELDS: usize = 8;
/// Rows that leave out different fields with a default are sent apart.
const MOST_DEFAULTS: usize = 2;

/// Schemas with an INT64 or VARCHAR key; up to eight fields of the types that filters are most
/// about, up to two of the others, and one to three vectors; with whatever else the engine has:
/// nulls, defaults, a partition key, keys of its own, the dynamic field.
pub fn schemas(dialect: &Dialect) -> BoxedStrategy<Schema> {
    // Twice what people filter by most.
    let mut types = vec![DataType::Json, DataType::Json, DataType::Scalar(Scalar::VarChar)];
    types.extend(Scalar::ALL.map(DataType::Scalar));
    types.extend(Scalar::ALL.map(DataType::Array));
    types.retain(|data_type| dialect.has_type(*data_type));
    let mut others = vec![DataType::Timestamptz, DataType::Geometry, DataType::StructArray];
    others.retain(|data_type| dialect.has_type(*data_type));
    let most_others = others.len().min(2);
    let payload = (
        prop::collection::vec(field(types, dialect), 1..=MOST_FIELDS),
        prop::collection::vec(
            field(if others.is_empty() { vec![DataType::Json] } else { others }, dialect),
            0..=most_others,
        ),
    );
    let sometimes = |feature: SchemaFeature, weight: f64| {
        prop::bool::weighted(if dialect.allows(feature) { weight } else { 0.0 })
    };
    let flags = (
        sometimes(SchemaFeature::PartitionKey, 0.2),
        sometimes(SchemaFeature::AutoId, 0.1),
        sometimes(SchemaFeature::Dynamic, 0.5),
    );
    let metric = select(vec![None, None, Some(Metric::InnerProduct), Some(Metric::Cosine)]);
    let key = select(vec![Scalar::Int64, Scalar::Int64, Scalar::VarChar]);
    (key, payload, (vectors(dialect), metric), flags)
        .prop_map(|(key, (payload, others), (vectors, metric), flags)| {
            let (partition_key, auto_id, dynamic) = flags;
            // Milvus Lite assigns INT64 keys alone.
            let key = if auto_id { Scalar::Int64 } else { key };
            let id = Field::new("id", DataType::Scalar(key)).primary();
            let mut fields = vec![Field { auto_id, ..id }];
            let mut defaults = 0;
            for (i, mut field) in payload.into_iter().chain(others).enumerate() {
                field.name = format!("{}_{i}", prefix(field.data_type));
                defaults += usize::from(field.default.is_some());
                if defaults > MOST_DEFAULTS {
                    field.default = None;
                }
                fields.push(field);
            }
            if partition_key {
                let keys = [DataType::Scalar(Scalar::Int64), DataType::Scalar(Scalar::VarChar)];
                let suited = |field: &&mut Field| !field.primary && keys.contains(&field.data_type);
                if let Some(field) = fields.iter_mut().find(suited) {
                    field.partition_key = true;
                    field.nullable = false;
                }
            }
            for (i, data_type) in vectors.into_iter().enumerate() {
                let name = if i == 0 { "vec".to_owned() } else { format!("vec_{i}") };
                let float = matches!(data_type, DataType::FloatVector { .. });
                let metric = metric.filter(|_| float);
                fields.push(Field { metric, ..Field::new(name, data_type) });
            }
            Schema { fields, dynamic }
        })
        .boxed()
}

/// One vector, or up to three of different types: most often a FLOAT_VECTOR.
fn vectors(dialect: &Dialect) -> BoxedStrategy<Vec<DataType>> {
    let float = DataType::FloatVector { dim: DIM };
    let mut all = vec![
        float,
        DataType::BinaryVector { dim: 8 * u32::from(DIM) },
        DataType::Float16Vector { dim: DIM },
        DataType::BFloat16Vector { dim: DIM },
        DataType::Int8Vector { dim: DIM },
        DataType::SparseVector,
    ];
    all.retain(|data_type| dialect.has_type(*data_type));
    let most = if dialect.allows(SchemaFeature::ManyVectors) { all.len().min(3) } else { 1 };
    prop_oneof![1 => Just(vec![float]), 1 => subsequence(all, 1..=most)].boxed()
}

/// A field whose name is to be given.
fn field(types: Vec<DataType>, dialect: &Dialect) -> BoxedStrategy<Field> {
    let nullable = if dialect.allows(SchemaFeature::Nullable) { 0.5 } else { 0.0 };
    let default = if dialect.allows(SchemaFeature::Default) { 0.15 } else { 0.0 };
    let limits = (
        prop_oneof![3 => Just(None), 1 => Just(Some(65_535)), 1 => Just(Some(8))],
        prop_oneof![3 => Just(None), 1 => Just(Some(4096)), 1 => Just(Some(3))],
    );
    (select(types), limits, prop::bool::weighted(nullable), prop::bool::weighted(default))
        .prop_flat_map(|(data_type, (max_length, max_capacity), nullable, default)| {
            let mut field = Field::new("field", data_type);
            let text = [DataType::Scalar(Scalar::VarChar), DataType::Array(Scalar::VarChar)];
            field.max_length = max_length.filter(|_| text.contains(&data_type));
            let array = matches!(data_type, DataType::Array(_) | DataType::StructArray);
            field.max_capacity = max_capacity.filter(|_| array);
            let scalar = [DataType::Timestamptz, DataType::Geometry].contains(&data_type)
                || matches!(data_type, DataType::Scalar(_));
            let default =
                if default && scalar { value(&field).boxed() } else { Just(Value::Null).boxed() };
            field.nullable = nullable && data_type != DataType::StructArray;
            let members = match data_type {
                DataType::StructArray => members().boxed(),
                _ => Just(Vec::new()).boxed(),
            };
            (default, members).prop_map(move |(default, members)| Field {
                default: Some(default.to_json()).filter(|json| !json.is_null()),
                members,
                ..field.clone()
            })
        })
        .boxed()
}

/// What structs consist of: up to three scalars of different types.
fn members() -> impl Strategy<Value = Vec<Field>> {
    let member = |scalar| {
        let data_type = DataType::Scalar(scalar);
        Field::new(prefix(data_type), data_type)
    };
    subsequence(Scalar::ALL.to_vec(), 1..=3)
        .prop_map(move |scalars| scalars.into_iter().map(member).collect())
}

/// A name that says the type, so that a finding can be read without its schema.
fn prefix(data_type: DataType) -> String {
    let name = data_type.to_string().to_lowercase();
    name.replace("array<", "array_").replace('>', "")
}
