//! Record batches to rows, of whatever types convert without loss.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, Float16Array, Float32Array, Int8Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType as ArrowType, Float16Type, Float32Type, Float64Type, Int8Type, Int64Type, TimeUnit,
    UInt8Type, UInt64Type,
};
use half::{bf16, f16};
use serde_json::Value as Json;

use super::DumpError;
use super::check::Check;
use super::types::expected;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{META, Row, Value};

/// The rows of a record batch, which need not be one of [`arrow_schema`](super::arrow_schema):
/// columns may stand in any order, and have any type from which their field's follows without loss.
/// These are integers and floats of other widths if the values fit exactly, any kind of list for
/// arrays and vectors, a map for sparse vectors, large texts and views of texts, moments in other
/// units and time zones, and dictionaries. A column may be missing if its field is nullable or has
/// a default.
///
/// ```
/// use std::sync::Arc;
/// use milvus_difftest::dump::{DumpError, from_batch};
/// use milvus_difftest::dump::arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt16Array};
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// use milvus_difftest::value::Value;
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let n = Field::new("n", DataType::Scalar(Scalar::Int8));
/// let schema = Schema { fields: vec![id, n], dynamic: false };
/// let batch = |n: u16| {
///     let n: ArrayRef = Arc::new(UInt16Array::from(vec![n]));
///     let id: ArrayRef = Arc::new(Int64Array::from(vec![1]));
///     RecordBatch::try_from_iter([("n", n), ("id", id)]).unwrap()
/// };
/// assert_eq!(from_batch(&schema, &batch(127)).unwrap()[0].get("n"), &Value::Int(127));
/// let error = from_batch(&schema, &batch(128)).unwrap_err();
/// assert_eq!(error.to_string(), "row 1, column 'n': expected INT8, found 128");
/// ```
///
/// # Errors
/// [`DumpError::MissingColumn`], [`DumpError::ExtraColumn`], [`DumpError::SameColumn`] and
/// [`DumpError::ColumnType`] if the columns do not suit the schema, [`DumpError::Value`] if a value
/// does not.
pub fn from_batch(schema: &Schema, batch: &RecordBatch) -> Result<Vec<Row>, DumpError> {
    let check = Check::new(schema);
    let decoder = Decoder::new(schema, batch)?;
    let row = |index: usize| {
        let number = index as u64 + 1;
        let row = decoder.row(index, number)?;
        check.row(&row, number).map(|()| row)
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Reads the rows of one batch, without the checks that rows of every format undergo.
pub(super) struct Decoder {
    columns: Vec<(Field, Cell)>,
    meta: Option<Cell>,
}

/// Reads a cell of a column, by its index.
type Cell = Box<dyn Fn(usize) -> Result<Value, Misfit> + Send>;

/// What is there that the field cannot hold.
struct Misfit(String);

impl Decoder {
    pub(super) fn new(schema: &Schema, batch: &RecordBatch) -> Result<Decoder, DumpError> {
        let arrow = batch.schema_ref();
        for (i, column) in arrow.fields().iter().enumerate() {
            let column = column.name();
            let same = |other: &std::sync::Arc<arrow::datatypes::Field>| other.name() == column;
            if arrow.fields().iter().take(i).any(same) {
                return Err(DumpError::SameColumn { column: column.clone() });
            }
            if schema.field(column).is_none() && !(schema.dynamic && column == META) {
                return Err(DumpError::ExtraColumn { column: column.clone() });
            }
        }
        let meta = match batch.column_by_name(META).filter(|_| schema.dynamic) {
            Some(column) => Some(typed(&Field::new(META, DataType::Json), column)?),
            None => None,
        };
        let mut columns = Vec::with_capacity(schema.fields.len());
        for field in &schema.fields {
            match batch.column_by_name(&field.name) {
                Some(column) => columns.push((field.clone(), typed(field, column)?)),
                None if field.is_optional() => {}
                None => {
                    let (column, expected) = (field.name.clone(), expected(field));
                    return Err(DumpError::MissingColumn { column, expected });
                }
            }
        }
        // As rows have them, so that their maps are built without sorting.
        columns.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        Ok(Decoder { columns, meta })
    }

    pub(super) fn row(&self, index: usize, number: u64) -> Result<Row, DumpError> {
        let mut fields = BTreeMap::new();
        for (field, cell) in &self.columns {
            let value = cell(index).map_err(|Misfit(found)| {
                DumpError::value(&field.name, number, field.data_type, found)
            })?;
            if value != Value::Null || field.default.is_none() {
                fields.insert(field.name.clone(), value);
            }
        }
        let dynamic = match self.meta.as_ref().map(|cell| cell(index)) {
            None | Some(Ok(Value::Null)) => Default::default(),
            Some(Ok(Value::Json(Json::Object(members)))) => members,
            Some(Ok(other)) => return Err(no_object(number, &other.to_string())),
            Some(Err(Misfit(found))) => return Err(no_object(number, &found)),
        };
        Ok(Row { fields, dynamic })
    }
}

pub(super) fn no_object(row: u64, found: &str) -> DumpError {
    DumpError::value(META, row, "a JSON object", found)
}

fn typed(field: &Field, column: &ArrayRef) -> Result<Cell, DumpError> {
    cell(field, column).ok_or_else(|| DumpError::ColumnType {
        column: field.name.clone(),
        found: column.data_type().to_string(),
        expected: expected(field),
    })
}

/// How to read a column; `None` if its type does not convert.
fn cell(field: &Field, column: &ArrayRef) -> Option<Cell> {
    let column = &plain(column)?;
    if *column.data_type() == ArrowType::Null {
        return Some(Box::new(|_| Ok(Value::Null)));
    }
    let read: Cell = match field.data_type {
        DataType::Scalar(scalar) => scalars(scalar, column)?,
        DataType::Json => {
            let texts = Texts::of(column)?;
            Box::new(move |i| {
                let json = serde_json::from_str(texts.get(i));
                json.map(Value::Json).map_err(|error| Misfit(format!("no JSON ({error})")))
            })
        }
        DataType::Geometry => {
            let texts = Texts::of(column)?;
            Box::new(move |i| Ok(Value::Geometry(texts.get(i).to_owned())))
        }
        DataType::Timestamptz => moments(column)?,
        DataType::Array(scalar) => {
            let lists = Lists::of(column)?;
            let item = cell(&Field::new("element", DataType::Scalar(scalar)), &lists.items)?;
            Box::new(move |i| lists.range(i).map(&item).collect::<Result<_, _>>().map(Value::Array))
        }
        DataType::StructArray => structs(field, column)?,
        DataType::FloatVector { .. } => {
            let lists = Lists::of(column)?;
            let floats = floats(&lists.items)?;
            Box::new(move |i| floats(lists.range(i)).map(Value::Vector))
        }
        DataType::BFloat16Vector { .. } => {
            let lists = Lists::of(column)?;
            let floats = floats(&lists.items)?;
            let narrow = |x: f32| exact(bf16::from_f32(x), x, bf16::to_f32);
            Box::new(move |i| {
                let items = floats(lists.range(i))?.into_iter().map(narrow);
                items.collect::<Result<_, _>>().map(Value::BFloat16Vector)
            })
        }
        DataType::Float16Vector { .. } => {
            let lists = Lists::of(column)?;
            let halves = halves(&lists.items)?;
            Box::new(move |i| halves(lists.range(i)).map(Value::Float16Vector))
        }
        DataType::Int8Vector { .. } => {
            let lists = Lists::of(column)?;
            let bytes = bytes(&lists.items)?;
            Box::new(move |i| bytes(lists.range(i)).map(Value::Int8Vector))
        }
        DataType::BinaryVector { .. } => binary(column)?,
        DataType::SparseVector => sparse(column)?,
    };
    let Some(nulls) = column.logical_nulls().filter(|nulls| nulls.null_count() > 0) else {
        return Some(read);
    };
    Some(Box::new(move |i| if nulls.is_null(i) { Ok(Value::Null) } else { read(i) }))
}

/// A column without its encoding.
fn plain(column: &ArrayRef) -> Option<ArrayRef> {
    match column.data_type() {
        ArrowType::Dictionary(_, values) => plain(&cast(column, values).ok()?),
        ArrowType::RunEndEncoded(_, values) => plain(&cast(column, values.data_type()).ok()?),
        _ => Some(column.clone()),
    }
}

fn scalars(scalar: Scalar, column: &ArrayRef) -> Option<Cell> {
    Some(match scalar {
        Scalar::Bool => {
            let array = column.as_boolean_opt()?.clone();
            Box::new(move |i| Ok(Value::Bool(array.value(i))))
        }
        // Their ranges are checked with everything else.
        Scalar::Int8 | Scalar::Int16 | Scalar::Int32 | Scalar::Int64 => {
            let ints = ints(column)?;
            Box::new(move |i| ints(i).map(Value::Int))
        }
        Scalar::Float => match column.data_type() {
            ArrowType::Float64 => {
                let array = column.as_primitive::<Float64Type>().clone();
                let narrow = |x: f64| exact(x as f32, x, f64::from);
                Box::new(move |i| narrow(array.value(i)).map(Value::Float))
            }
            ArrowType::Float16 | ArrowType::Float32 => {
                let array = cast(column, &ArrowType::Float32).ok()?;
                let array = array.as_primitive::<Float32Type>().clone();
                Box::new(move |i| Ok(Value::Float(array.value(i))))
            }
            _ => return None,
        },
        Scalar::Double => match column.data_type() {
            ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => {
                let array = cast(column, &ArrowType::Float64).ok()?;
                let array = array.as_primitive::<Float64Type>().clone();
                Box::new(move |i| Ok(Value::Double(array.value(i))))
            }
            _ => return None,
        },
        Scalar::VarChar => {
            let texts = Texts::of(column)?;
            Box::new(move |i| Ok(Value::Text(texts.get(i).to_owned())))
        }
    })
}

/// A narrowed float, if widening it gives what was narrowed.
fn exact<N: Copy, W: PartialEq + std::fmt::Display>(
    narrow: N,
    x: W,
    widen: impl Fn(N) -> W,
) -> Result<N, Misfit> {
    if widen(narrow) == x { Ok(narrow) } else { Err(Misfit(format!("{x}, which is finer"))) }
}

/// Reads an integer, by its index.
type Ints = Box<dyn Fn(usize) -> Result<i64, Misfit> + Send>;

fn ints(column: &ArrayRef) -> Option<Ints> {
    if *column.data_type() == ArrowType::UInt64 {
        let array = column.as_primitive::<UInt64Type>().clone();
        return Some(Box::new(move |i| {
            let value = array.value(i);
            i64::try_from(value).map_err(|_| Misfit(value.to_string()))
        }));
    }
    if !column.data_type().is_integer() {
        return None;
    }
    let array = cast(column, &ArrowType::Int64).ok()?;
    let array = array.as_primitive::<Int64Type>().clone();
    Some(Box::new(move |i| Ok(array.value(i))))
}

/// A moment in any unit, of any time zone: it says how to write the moment, not which it is.
fn moments(column: &ArrayRef) -> Option<Cell> {
    let ArrowType::Timestamp(unit, Some(_)) = column.data_type() else {
        return None;
    };
    let unit = *unit;
    let array = cast(column, &ArrowType::Int64).ok()?.as_primitive::<Int64Type>().clone();
    Some(Box::new(move |i| {
        let count = array.value(i);
        let micros = match unit {
            TimeUnit::Second => count.checked_mul(1_000_000),
            TimeUnit::Millisecond => count.checked_mul(1000),
            TimeUnit::Microsecond => Some(count),
            TimeUnit::Nanosecond => (count % 1000 == 0).then_some(count / 1000),
        };
        let micros = micros.ok_or_else(|| Misfit(format!("{count} {unit:?}s since 1970")))?;
        Ok(Value::Timestamp(micros))
    }))
}

fn structs(field: &Field, column: &ArrayRef) -> Option<Cell> {
    let lists = Lists::of(column)?;
    let array = lists.items.as_struct_opt()?.clone();
    if array.num_columns() != field.members.len() {
        return None;
    }
    let member = |member: &Field| {
        Some((member.name.clone(), cell(member, array.column_by_name(&member.name)?)?))
    };
    let members: Vec<(String, Cell)> = field.members.iter().map(member).collect::<Option<_>>()?;
    let one = move |i: usize| {
        if array.is_null(i) {
            return Err(Misfit("a null struct".to_owned()));
        }
        members.iter().map(|(name, cell)| Ok((name.clone(), cell(i)?))).collect()
    };
    Some(Box::new(move |i| lists.range(i).map(&one).collect::<Result<_, _>>().map(Value::Structs)))
}

/// Pairs of a dimension and a value: the entries of a map, or structs of these two.
fn sparse(column: &ArrayRef) -> Option<Cell> {
    let lists = Lists::of(column)?;
    let pairs = lists.items.as_struct_opt()?.clone();
    let [indexes, values] = pairs.columns() else {
        return None;
    };
    let (indexes, values) = (plain(indexes)?, plain(values)?);
    let (at, x) = (ints(&indexes)?, scalars(Scalar::Float, &values)?);
    let one = move |i: usize| {
        if pairs.is_null(i) || indexes.is_null(i) || values.is_null(i) {
            return Err(Misfit("a null among its values".to_owned()));
        }
        let index = at(i)?;
        let index = u32::try_from(index).map_err(|_| Misfit(format!("the index {index}")))?;
        match x(i)? {
            Value::Float(x) => Ok((index, x)),
            other => Err(Misfit(other.to_string())),
        }
    };
    Some(Box::new(move |i| {
        let mut values = BTreeMap::new();
        for pair in lists.range(i).map(&one) {
            let (index, x) = pair?;
            if values.insert(index, x).is_some() {
                return Err(Misfit(format!("the index {index} twice")));
            }
        }
        Ok(Value::SparseVector(values))
    }))
}

/// Bytes, of a fixed length or not, or a list of them.
fn binary(column: &ArrayRef) -> Option<Cell> {
    if matches!(column.data_type(), ArrowType::FixedSizeBinary(_)) {
        let array = column.as_fixed_size_binary_opt()?.clone();
        return Some(Box::new(move |i| Ok(Value::BinaryVector(array.value(i).to_vec()))));
    }
    if let Some(lists) = Lists::of(column) {
        let array = lists.items.as_primitive_opt::<UInt8Type>()?.clone();
        return Some(Box::new(move |i| {
            let range = lists.range(i);
            without_null(&array, &range)?;
            Ok(Value::BinaryVector(range.map(|j| array.value(j)).collect()))
        }));
    }
    match column.data_type() {
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => {
            let array = cast(column, &ArrowType::LargeBinary).ok()?;
            let array = array.as_binary::<i64>().clone();
            Some(Box::new(move |i| Ok(Value::BinaryVector(array.value(i).to_vec()))))
        }
        _ => None,
    }
}

/// Reads the components of a vector.
type Slice<T> = Box<dyn Fn(Range<usize>) -> Result<Vec<T>, Misfit> + Send>;

fn floats(items: &ArrayRef) -> Option<Slice<f32>> {
    let items = plain(items)?;
    if let Some(array) = items.as_primitive_opt::<Float32Type>() {
        let array: Float32Array = array.clone();
        return Some(slice(array));
    }
    let one = scalars(Scalar::Float, &items)?;
    Some(Box::new(move |range| {
        without_null(&items, &range)?;
        let float = |i| match one(i)? {
            Value::Float(x) => Ok(x),
            other => Err(Misfit(other.to_string())),
        };
        range.map(float).collect()
    }))
}

fn halves(items: &ArrayRef) -> Option<Slice<f16>> {
    let items = plain(items)?;
    if let Some(array) = items.as_primitive_opt::<Float16Type>() {
        let array: Float16Array = array.clone();
        return Some(slice(array));
    }
    let floats = floats(&items)?;
    let narrow = |x: f32| exact(f16::from_f32(x), x, f16::to_f32);
    Some(Box::new(move |range| floats(range)?.into_iter().map(narrow).collect()))
}

fn bytes(items: &ArrayRef) -> Option<Slice<i8>> {
    let items = plain(items)?;
    if let Some(array) = items.as_primitive_opt::<Int8Type>() {
        let array: Int8Array = array.clone();
        return Some(slice(array));
    }
    let ints = ints(&items)?;
    Some(Box::new(move |range| {
        without_null(&items, &range)?;
        let byte = |i| ints(i).and_then(|x| i8::try_from(x).map_err(|_| Misfit(x.to_string())));
        range.map(byte).collect()
    }))
}

/// Components that need no conversion.
fn slice<T: arrow::datatypes::ArrowPrimitiveType>(
    array: arrow::array::PrimitiveArray<T>,
) -> Slice<T::Native> {
    Box::new(move |range| {
        without_null(&array, &range)?;
        Ok(array.values().get(range).unwrap_or_default().to_vec())
    })
}

fn without_null(array: &dyn Array, range: &Range<usize>) -> Result<(), Misfit> {
    match array.nulls() {
        Some(nulls) if range.clone().any(|i| nulls.is_null(i)) => {
            Err(Misfit("a null among its values".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Lists of any kind, and maps as lists of their entries.
struct Lists {
    items: ArrayRef,
    range: Box<dyn Fn(usize) -> Range<usize> + Send>,
}

impl Lists {
    fn of(column: &ArrayRef) -> Option<Lists> {
        Some(match column.data_type() {
            ArrowType::List(_) => {
                let array = column.as_list_opt::<i32>()?;
                Lists::by_offsets(array.values().clone(), array.offsets().clone())
            }
            ArrowType::LargeList(_) => {
                let array = column.as_list_opt::<i64>()?;
                Lists::by_offsets(array.values().clone(), array.offsets().clone())
            }
            ArrowType::Map(..) => {
                let array = column.as_map_opt()?;
                Lists::by_offsets(
                    std::sync::Arc::new(array.entries().clone()),
                    array.offsets().clone(),
                )
            }
            ArrowType::FixedSizeList(_, width) => {
                let width = usize::try_from(*width).ok()?;
                let items = column.as_fixed_size_list_opt()?.values().clone();
                Lists { items, range: Box::new(move |i| i * width..(i + 1) * width) }
            }
            ArrowType::ListView(item) | ArrowType::LargeListView(item) => {
                let large = ArrowType::LargeList(item.clone());
                return Lists::of(&cast(column, &large).ok()?);
            }
            _ => return None,
        })
    }

    fn by_offsets<O: arrow::array::OffsetSizeTrait>(
        items: ArrayRef,
        offsets: arrow::buffer::OffsetBuffer<O>,
    ) -> Lists {
        let at = move |i: usize| offsets.get(i).map(|offset| offset.as_usize()).unwrap_or_default();
        Lists { items, range: Box::new(move |i| at(i)..at(i + 1)) }
    }

    fn range(&self, i: usize) -> Range<usize> {
        (self.range)(i)
    }
}

/// Texts of any kind.
enum Texts {
    Small(StringArray),
    Large(LargeStringArray),
    View(StringViewArray),
}

impl Texts {
    fn of(column: &ArrayRef) -> Option<Texts> {
        let small = || column.as_string_opt::<i32>().cloned().map(Texts::Small);
        let large = || column.as_string_opt::<i64>().cloned().map(Texts::Large);
        let view = || column.as_string_view_opt().cloned().map(Texts::View);
        small().or_else(large).or_else(view)
    }

    fn get(&self, i: usize) -> &str {
        match self {
            Texts::Small(array) => array.value(i),
            Texts::Large(array) => array.value(i),
            Texts::View(array) => array.value(i),
        }
    }
}
