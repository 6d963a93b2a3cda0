use crate::backend::sql::{Constant, JsonKind, JsonPlace, SqlDialect, SqlType};
use crate::filter::{BinaryOp, Step, UnaryOp};
use crate::schema::Schema;

/// SQL as DuckDB speaks it.
#[derive(Debug, Clone, Copy, Default)]
pub struct DuckDbDialect;

/// A name as an SQL identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string as an SQL expression. DuckDB reads a statement as a C string, so that a NUL has to be
/// written as a call.
fn text(text: &str) -> String {
    let parts: Vec<_> =
        text.split('\0').map(|part| format!("'{}'", part.replace('\'', "''"))).collect();
    match parts.as_slice() {
        [only] => only.clone(),
        _ => format!("({})", parts.join(" || chr(0) || ")),
    }
}

fn type_name(ty: SqlType) -> &'static str {
    match ty {
        SqlType::Bool => "BOOLEAN",
        SqlType::Int => "BIGINT",
        SqlType::Wide => "HUGEINT",
        SqlType::Float => "FLOAT",
        SqlType::Double => "DOUBLE",
        SqlType::Text => "VARCHAR",
    }
}

/// `function(document, pointer)`, by JSON pointer (RFC 6901): unlike in DuckDB's own paths, every
/// key can be written.
fn at(function: &str, place: &JsonPlace) -> String {
    let pointer: String = place
        .steps
        .iter()
        .map(|step| match step {
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        })
        .collect();
    // `$` is the root, which the empty pointer is not.
    let path = if pointer.is_empty() { "'$'".to_owned() } else { text(&pointer) };
    format!("{function}({}, {path})", place.document)
}

impl SqlDialect for DuckDbDialect {
    fn column(&self, schema: &Schema, name: &str) -> String {
        // DuckDB folds case, even in quotes; a tilde cannot occur in a field's name.
        let earlier = schema.fields.iter().take_while(|field| field.name != name);
        let clashes = earlier.clone().any(|field| field.name.eq_ignore_ascii_case(name));
        if clashes { identifier(&format!("{name}~{}", earlier.count())) } else { identifier(name) }
    }

    fn constant(&self, constant: Constant<'_>) -> String {
        match constant {
            Constant::Bool(b) => if b { "TRUE" } else { "FALSE" }.to_owned(),
            // DuckDB types a number by its size, and compares and computes in the wider type.
            Constant::Int(i) => i.to_string(),
            Constant::Wide(i) => i.to_string(),
            // From a string: an unquoted 0.1 is a DECIMAL. `{:?}` is the shortest text that reads
            // back to the same bits.
            Constant::Float(x) => format!("CAST('{x:?}' AS FLOAT)"),
            Constant::Double(x) if !x.is_finite() => format!("CAST('{x:?}' AS DOUBLE)"),
            // A number with an exponent is a DOUBLE.
            Constant::Double(x) => {
                let digits = format!("{x:?}");
                if digits.contains('e') { digits } else { digits + "e0" }
            }
            Constant::Text(s) => text(s),
        }
    }

    fn cast(&self, sql: &str, to: SqlType) -> String {
        format!("CAST({sql} AS {})", type_name(to))
    }

    fn narrow(&self, sql: &str) -> String {
        format!("TRY_CAST({sql} AS BIGINT)")
    }

    fn cast_list(&self, list: &str, to: SqlType) -> String {
        format!("CAST({list} AS {}[])", type_name(to))
    }

    fn unary(&self, op: UnaryOp, _: SqlType, operand: &str) -> String {
        format!("({}{operand})", op.symbol())
    }

    fn arithmetic(&self, op: BinaryOp, ty: SqlType, left: &str, right: &str) -> String {
        let symbol = match (op, ty) {
            // `^` is a power.
            (BinaryOp::BitXor, _) => return format!("xor({left}, {right})"),
            (BinaryOp::Div, SqlType::Int | SqlType::Wide) => "//",
            (op, _) => op.symbol(),
        };
        format!("({left} {symbol} {right})")
    }

    fn like(&self, string: &str, pattern: &str) -> String {
        format!("{string} LIKE {} ESCAPE '\\'", text(pattern))
    }

    fn length(&self, list: &str) -> String {
        format!("len({list})")
    }

    fn element(&self, list: &str, index: u32) -> String {
        format!("{list}[{}]", u64::from(index) + 1)
    }

    fn contains(&self, list: &str, constant: &str) -> String {
        format!("list_contains({list}, {constant})")
    }

    fn list_equals(&self, list: &str, constants: &[String]) -> String {
        format!("{list} = [{}]", constants.join(", "))
    }

    fn json_is(&self, place: &JsonPlace, kind: JsonKind) -> String {
        let kinds = match kind {
            JsonKind::Int => "IN ('BIGINT', 'UBIGINT')",
            JsonKind::Double => "= 'DOUBLE'",
            JsonKind::Text => "= 'VARCHAR'",
            JsonKind::Bool => "= 'BOOLEAN'",
        };
        format!("{} {kinds}", at("json_type", place))
    }

    fn json_value(&self, place: &JsonPlace, kind: JsonKind) -> String {
        let ty = match kind {
            JsonKind::Int => SqlType::Wide,
            JsonKind::Double => SqlType::Double,
            JsonKind::Bool => SqlType::Bool,
            JsonKind::Text => return at("json_extract_string", place),
        };
        format!("TRY_CAST({} AS {})", at("json_extract", place), type_name(ty))
    }

    fn json_is_array(&self, place: &JsonPlace) -> String {
        format!("COALESCE({} = 'ARRAY', FALSE)", at("json_type", place))
    }

    fn json_length(&self, place: &JsonPlace) -> String {
        // Null where the place is missing, 0 where it holds no array; unsigned, which matters to `~`.
        format!("COALESCE(CAST({} AS BIGINT), 0)", at("json_array_length", place))
    }

    fn json_exists(&self, place: &JsonPlace) -> String {
        // The text of what is extracted has no blanks, and strings keep their quotes.
        let extracted = at("json_extract", place);
        format!("COALESCE(CAST({extracted} AS VARCHAR) NOT IN ('null', '{{}}', '[]'), FALSE)")
    }

    fn json_any(&self, place: &JsonPlace, predicate: &dyn Fn(&JsonPlace) -> String) -> String {
        let element = JsonPlace { document: "e".to_owned(), steps: Vec::new() };
        let items = format!("TRY_CAST({} AS JSON[])", at("json_extract", place));
        let found = format!("list_filter({items}, lambda e: {})", predicate(&element));
        format!("COALESCE(len({found}) > 0, FALSE)")
    }
}
