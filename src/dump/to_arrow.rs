//! Rows to record batches, straight from the values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBuilder, FixedSizeBinaryBuilder, FixedSizeListArray, Float32Array,
    ListArray, PrimitiveArray, PrimitiveBuilder, RecordBatch, RecordBatchOptions, StringArray,
    StringBuilder, StructArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef, TimestampMicrosecondType,
};

use super::DumpError;
use super::check::Check;
use super::types::{arrow_schema, element, member_fields, sparse_fields};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Row, Value};

/// Rows as a record batch of [`arrow_schema`].
///
/// ```
/// use milvus_difftest::dump::{from_batch, to_batch};
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// use milvus_difftest::value::Row;
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let schema = Schema { fields: vec![id], dynamic: false };
/// let rows = [Row::from_json(&schema, &serde_json::json!({"id": 7})).unwrap()];
/// let batch = to_batch(&schema, &rows).unwrap();
/// assert_eq!(batch.num_rows(), 1);
/// assert_eq!(from_batch(&schema, &batch).unwrap(), rows);
/// ```
///
/// # Errors
/// [`DumpError::Value`] and [`DumpError::ExtraColumn`] if a row does not fit the schema;
/// [`DumpError::TooLong`] if the texts or elements of a column are more than two thousand million.
pub fn to_batch(schema: &Schema, rows: &[Row]) -> Result<RecordBatch, DumpError> {
    let check = Check::new(schema);
    for (row, number) in rows.iter().zip(1..) {
        check.row(row, number)?;
    }
    Encoder::new(schema).batch(rows)
}

/// Makes batches of rows that have been checked.
pub(super) struct Encoder {
    schema: Schema,
    arrow: SchemaRef,
}

impl Encoder {
    pub(super) fn new(schema: &Schema) -> Encoder {
        Encoder { schema: schema.clone(), arrow: Arc::new(arrow_schema(schema)) }
    }

    pub(super) fn arrow(&self) -> SchemaRef {
        Arc::clone(&self.arrow)
    }

    pub(super) fn batch(&self, rows: &[Row]) -> Result<RecordBatch, DumpError> {
        let mut columns = Vec::with_capacity(self.arrow.fields().len());
        for field in &self.schema.fields {
            let values: Vec<&Value> = rows.iter().map(|row| row.get(&field.name)).collect();
            columns.push(array(field, &values)?);
        }
        if self.schema.dynamic {
            let objects: StringArray =
                rows.iter().map(|row| serde_json::to_string(&row.dynamic).ok()).collect();
            columns.push(Arc::new(objects));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(self.arrow(), columns, &options)?)
    }
}

fn array(field: &Field, values: &[&Value]) -> Result<ArrayRef, DumpError> {
    match field.data_type {
        DataType::Scalar(scalar) => scalars(field, scalar, values),
        DataType::Json => strings(field, values, |value| match value {
            Value::Json(json) => Some(json.to_string().into()),
            _ => None,
        }),
        DataType::Geometry => strings(field, values, |value| match value {
            Value::Geometry(text) => Some(text.as_str().into()),
            _ => None,
        }),
        DataType::Timestamptz => {
            let micros = |value: &Value| match value {
                Value::Timestamp(micros) => Some(*micros),
                _ => None,
            };
            let moments = primitives::<TimestampMicrosecondType>(field, values, micros)?;
            Ok(Arc::new(moments.with_timezone("UTC")))
        }
        DataType::Array(scalar) => {
            let lists = Lists::of(field, values, |value| match value {
                Value::Array(items) => Some(items.iter()),
                _ => None,
            })?;
            let inner = Field { data_type: DataType::Scalar(scalar), ..field.clone() };
            let inner = scalars(&inner, scalar, &lists.items)?;
            lists.array(inner)
        }
        DataType::StructArray => {
            let lists = Lists::of(field, values, |value| match value {
                Value::Structs(structs) => Some(structs.iter()),
                _ => None,
            })?;
            let inner = structs(&field.members, &lists.items)?;
            lists.array(inner)
        }
        DataType::SparseVector => {
            let lists = Lists::of(field, values, |value| match value {
                Value::SparseVector(values) => Some(values.iter()),
                _ => None,
            })?;
            let indexes: UInt32Array = lists.items.iter().map(|(at, _)| **at).collect();
            let values: Float32Array = lists.items.iter().map(|(_, x)| **x).collect();
            let columns: Vec<ArrayRef> = vec![Arc::new(indexes), Arc::new(values)];
            let inner = StructArray::try_new(sparse_fields(), columns, None)?;
            lists.array(Arc::new(inner))
        }
        DataType::FloatVector { dim } => dense::<Float32Type, _>(
            field,
            dim,
            values,
            |x| x,
            |value| match value {
                Value::Vector(items) => Some(items),
                _ => None,
            },
        ),
        DataType::Float16Vector { dim } => dense::<Float16Type, _>(
            field,
            dim,
            values,
            |x| x,
            |value| match value {
                Value::Float16Vector(items) => Some(items),
                _ => None,
            },
        ),
        DataType::BFloat16Vector { dim } => {
            dense::<Float32Type, _>(field, dim, values, half::bf16::to_f32, |value| match value {
                Value::BFloat16Vector(items) => Some(items),
                _ => None,
            })
        }
        DataType::Int8Vector { dim } => dense::<Int8Type, _>(
            field,
            dim,
            values,
            |x| x,
            |value| match value {
                Value::Int8Vector(items) => Some(items),
                _ => None,
            },
        ),
        DataType::BinaryVector { dim } => {
            let width = i32::try_from(dim / 8).map_err(|_| too_long(field))?;
            let mut builder = FixedSizeBinaryBuilder::with_capacity(values.len(), width);
            for value in values {
                match value {
                    Value::BinaryVector(bytes) => builder.append_value(bytes)?,
                    Value::Null => builder.append_null(),
                    other => return Err(misfit(field, other)),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
    }
}

fn scalars(field: &Field, scalar: Scalar, values: &[&Value]) -> Result<ArrayRef, DumpError> {
    fn int<T: TryFrom<i64>>(value: &Value) -> Option<T> {
        match value {
            Value::Int(i) => T::try_from(*i).ok(),
            _ => None,
        }
    }
    Ok(match scalar {
        Scalar::Bool => {
            let mut builder = BooleanBuilder::with_capacity(values.len());
            for value in values {
                match value {
                    Value::Bool(b) => builder.append_value(*b),
                    Value::Null => builder.append_null(),
                    other => return Err(misfit(field, other)),
                }
            }
            Arc::new(builder.finish())
        }
        Scalar::Int8 => Arc::new(primitives::<Int8Type>(field, values, int)?),
        Scalar::Int16 => Arc::new(primitives::<Int16Type>(field, values, int)?),
        Scalar::Int32 => Arc::new(primitives::<Int32Type>(field, values, int)?),
        Scalar::Int64 => Arc::new(primitives::<Int64Type>(field, values, int)?),
        Scalar::Float => Arc::new(primitives::<Float32Type>(field, values, |value| match value {
            Value::Float(x) => Some(*x),
            _ => None,
        })?),
        Scalar::Double => {
            Arc::new(primitives::<Float64Type>(field, values, |value| match value {
                Value::Double(x) => Some(*x),
                _ => None,
            })?)
        }
        Scalar::VarChar => strings(field, values, |value| match value {
            Value::Text(text) => Some(text.as_str().into()),
            _ => None,
        })?,
    })
}

fn primitives<T: ArrowPrimitiveType>(
    field: &Field,
    values: &[&Value],
    read: impl Fn(&Value) -> Option<T::Native>,
) -> Result<PrimitiveArray<T>, DumpError> {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(values.len());
    for value in values {
        match value {
            Value::Null => builder.append_null(),
            value => builder.append_value(read(value).ok_or_else(|| misfit(field, value))?),
        }
    }
    Ok(builder.finish())
}

fn strings<'a>(
    field: &Field,
    values: &[&'a Value],
    read: impl Fn(&'a Value) -> Option<Cow<'a, str>>,
) -> Result<ArrayRef, DumpError> {
    let mut builder = StringBuilder::with_capacity(values.len(), 16 * values.len());
    for value in values {
        if **value == Value::Null {
            builder.append_null();
            continue;
        }
        let text = read(value).ok_or_else(|| misfit(field, value))?;
        if builder.values_slice().len() + text.len() > MOST {
            return Err(too_long(field));
        }
        builder.append_value(text);
    }
    Ok(Arc::new(builder.finish()))
}

/// The greatest offset.
const MOST: usize = i32::MAX as usize;

/// The items of all lists of a column, and where each list ends.
struct Lists<T> {
    items: Vec<T>,
    lengths: Vec<usize>,
    nulls: Option<NullBuffer>,
}

impl<T> Lists<T> {
    fn of<'a, I: ExactSizeIterator<Item = T>>(
        field: &Field,
        values: &[&'a Value],
        read: impl Fn(&'a Value) -> Option<I>,
    ) -> Result<Lists<T>, DumpError> {
        let mut items = Vec::new();
        let mut lengths = Vec::with_capacity(values.len());
        for value in values {
            if **value == Value::Null {
                lengths.push(0);
                continue;
            }
            let list = read(value).ok_or_else(|| misfit(field, value))?;
            lengths.push(list.len());
            items.extend(list);
        }
        if items.len() > MOST {
            return Err(too_long(field));
        }
        Ok(Lists { items, lengths, nulls: nulls(values) })
    }

    fn array(self, inner: ArrayRef) -> Result<ArrayRef, DumpError> {
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        let element = element(inner.data_type().clone());
        Ok(Arc::new(ListArray::try_new(element, offsets, inner, self.nulls)?))
    }
}

fn structs(members: &[Field], structs: &[&BTreeMap<String, Value>]) -> Result<ArrayRef, DumpError> {
    let column = |member: &Field| {
        let values = structs.iter().map(|members| members.get(&member.name));
        let values: Vec<_> = values.map(|value| value.unwrap_or(&Value::Null)).collect();
        array(member, &values)
    };
    let columns = members.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let (fields, length) = (member_fields(members), structs.len());
    Ok(Arc::new(StructArray::try_new_with_length(fields, columns, None, length)?))
}

fn dense<'a, T: ArrowPrimitiveType, X: Copy + 'a>(
    field: &Field,
    dim: u16,
    values: &[&'a Value],
    native: impl Fn(X) -> T::Native,
    read: impl Fn(&'a Value) -> Option<&'a Vec<X>>,
) -> Result<ArrayRef, DumpError> {
    let width = usize::from(dim);
    let mut items: Vec<T::Native> = Vec::with_capacity(width * values.len());
    for value in values {
        if **value == Value::Null {
            items.resize(items.len() + width, T::Native::default());
            continue;
        }
        let vector = read(value).filter(|vector| vector.len() == width);
        let vector = vector.ok_or_else(|| misfit(field, value))?;
        items.extend(vector.iter().map(|x| native(*x)));
    }
    let items = PrimitiveArray::<T>::new(items.into(), None);
    let element = element(T::DATA_TYPE);
    let array = FixedSizeListArray::try_new(element, dim.into(), Arc::new(items), nulls(values))?;
    Ok(Arc::new(array))
}

fn nulls(values: &[&Value]) -> Option<NullBuffer> {
    let nulls: NullBuffer = values.iter().map(|value| **value != Value::Null).collect();
    Some(nulls).filter(|nulls| nulls.null_count() > 0)
}

/// Of no row, because `Check` has ruled it out.
fn misfit(field: &Field, value: &Value) -> DumpError {
    DumpError::value(&field.name, 0, field.data_type, value)
}

fn too_long(field: &Field) -> DumpError {
    DumpError::TooLong { column: field.name.clone() }
}
