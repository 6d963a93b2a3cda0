//! Random schemas.

use proptest::prelude::*;
use proptest::sample::select;

use crate::milvus::Dialect;
use crate::schema::{DataType, Field, Scalar, Schema};

/// The dimension of generated vectors. Filters do not look into them; they must only come back.
const DIM: u16 = 2;
const MOST_FIELDS: usize = 8;

/// Schemas with an INT64 or VARCHAR key, up to eight fields of every type the engine has, one
/// FLOAT_VECTOR, and the dynamic field in half of them.
pub fn schemas(dialect: &Dialect) -> BoxedStrategy<Schema> {
    let mut types = vec![DataType::Json, DataType::Json];
    types.extend(Scalar::ALL.map(DataType::Scalar));
    types.extend(Scalar::ALL.map(DataType::Array));
    let nullable = if dialect.nullable { any::<bool>().boxed() } else { Just(false).boxed() };
    let field = (select(types), nullable);
    let key = select(vec![Scalar::Int64, Scalar::Int64, Scalar::VarChar]);
    (key, prop::collection::vec(field, 1..=MOST_FIELDS), any::<bool>())
        .prop_map(|(key, payload, dynamic)| {
            let mut fields = vec![Field::new("id", DataType::Scalar(key)).primary()];
            for (i, (data_type, nullable)) in payload.into_iter().enumerate() {
                let field = Field::new(format!("{}_{i}", prefix(data_type)), data_type);
                fields.push(if nullable { field.nullable() } else { field });
            }
            fields.push(Field::new("vec", DataType::FloatVector { dim: DIM }));
            Schema { fields, dynamic }
        })
        .boxed()
}

/// A name that says the type, so that a finding can be read without its schema.
fn prefix(data_type: DataType) -> String {
    let name = data_type.to_string().to_lowercase();
    name.replace("array<", "array_").replace('>', "")
}
