//! `repro.py`: the finding with pymilvus alone.

use super::history;
use super::literal;
use super::omitted;
use super::title::title;
use crate::case::{Case, Check, Maintenance, Operation, Scope};
use crate::filter::matching;
use crate::finding::Finding;
use crate::milvus::keys_filter;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, META, Row};
use crate::verdict::{Actual, Class, Divergence, Expected};

const USAGE: &str = "\
# Usage: python repro.py [URI]
# Without a URI, MILVUS_URI is used, else an embedded Milvus Lite. MILVUS_TOKEN is the token.
# Exit status: 0 the bug is present, 1 it is not, 2 the script could not run.
";

const PYMILVUS: &str = r#"
try:
    from pymilvus import DataType, MilvusClient
except ImportError as error:
    print(f"could not run: {error}; pip install pymilvus milvus-lite", file=sys.stderr)
    sys.exit(2)

TIMEOUT = 10  # seconds; without one, the client tries up to 75 times
"#;

const MAIN: &str = r#"

def main():
    uri = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MILVUS_URI")
    token = os.environ.get("MILVUS_TOKEN", "")
    name = f"repro_{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        client = MilvusClient(uri or folder + "/repro.db", token=token, timeout=TIMEOUT)
        try:
            return reproduce(client, name)
        finally:
@ALIASES@            with contextlib.suppress(Exception):
                client.drop_collection(name, timeout=TIMEOUT)
            client.close()


if __name__ == "__main__":
    logging.disable()  # what goes wrong is printed once, here
    try:
        present = main()
    except Exception as error:
        print(f"could not run: {error}", file=sys.stderr)
        sys.exit(2)
    print("The bug is present." if present else "The bug is not present.")
    sys.exit(0 if present else 1)
"#;

const KEYS: &str = r#"
    actual = sorted(row[KEY] for row in query(client, name))
    print("expected:", EXPECTED)
    print("actual:  ", actual)
    return actual != EXPECTED
"#;

const VALUES: &str = r#"
    rows = query(client, name)
    if sorted(row[KEY] for row in rows) != sorted(row[KEY] for row in EXPECTED):
        print("expected:", EXPECTED)
        print("actual:  ", rows)
        return True
    actual = {row[KEY]: row for row in rows}
    wrong = False
    for row in EXPECTED:
        for field in sorted(row.keys() | actual[row[KEY]].keys()):
            want, got = (r.get(field, "(absent)") for r in (row, actual[row[KEY]]))
            if exact(want, BITS.get(field)) != exact(got, BITS.get(field)):
                print(f"row {row[KEY]!r}, {field}: expected {want!r}, actual {got!r}")
                wrong = True
    return wrong
"#;

const EXACT: &str = r#"

def exact(value, bits=None):
    """A form in which == is exact: FLOAT and DOUBLE by their bits, and True is not 1."""
    if isinstance(value, bool):
        return ("bool", value)
@TEXTS@    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        inner = bits if isinstance(bits, dict) else {}
        return {key: exact(member, inner.get(key, bits)) for key, member in value.items()}
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], bytes):
        value = value[0]  # as pymilvus returns the bytes of a vector
    if hasattr(value, "__iter__"):
        return [exact(item, bits) for item in value]
    return struct.pack(bits, value) if bits else value
"#;

const MOMENTS: &str = r#"    if bits == "time" and isinstance(value, str):
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
"#;

const GEOMETRIES: &str = r#"    if bits == "wkt" and isinstance(value, str):
        numbers = re.findall(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?", value)
        return (value.split("(")[0].strip().upper(), [float(number) for number in numbers])
"#;

const COUNT: &str = r#"
    actual = query(client, name)[0]["count(*)"]
    print("expected:", EXPECTED)
    print("actual:  ", actual)
    return actual != EXPECTED
"#;

const PAGE: &str = r#"
    actual = [row[KEY] for row in query(client, name)]
    print("expected:", SIZE, "different rows of", MATCHING)
    print("actual:  ", actual)
    return len(actual) != SIZE or len(set(actual)) != SIZE or not set(actual) <= set(MATCHING)
"#;

const REFUSED: &str = r#"
    print("expected: no error")
    try:
        @STEPS@
    except Exception as error:
        print("actual:  ", error)
        client.list_collections(timeout=TIMEOUT)  # fails if the server is gone
        return True
    print("actual:   no error")
    return False
"#;

const ACCEPTED: &str = r#"
    print("expected: an error")
    try:
        @STEPS@
    except Exception as error:
        print("actual:  ", error)
        client.list_collections(timeout=TIMEOUT)  # fails if the server is gone
        return False
    print("actual:   no error")
    return True
"#;

const CRASH: &str = r#"
    print("expected: the server goes on answering")
    try:
        @STEPS@
    except Exception as error:
        print("error:   ", error)
    try:
        client.list_collections(timeout=TIMEOUT)
    except Exception as error:
        print("actual:   it is gone:", error)
        return True
    print("actual:   it goes on answering")
    return False
"#;

const HANG: &str = r#"
    print("expected: an answer within", TIMEOUT, "seconds")
    start = time.monotonic()
    try:
        @STEPS@
    except Exception as error:
        print("error:   ", error)
    seconds = time.monotonic() - start
    print(f"actual:   {seconds:.1f} seconds")
    return seconds >= 0.9 * TIMEOUT
"#;

/// What tells that the bug is present.
enum Probe {
    /// Other keys in the answer.
    Keys,
    /// Other values in the answer.
    Values,
    /// Another `count(*)`.
    Count,
    /// A page with another number of rows, or with rows that do not match.
    Page,
    /// Answers that do not agree with each other.
    History(&'static str),
    /// What `body` looks for; it runs the writes too, if they are what goes wrong.
    Steps { body: &'static str, writes: bool },
}

fn probe(check: Option<&Check>, divergence: &Divergence) -> Probe {
    let writes = divergence.expected.is_of_history();
    if let Some(body) = check.and_then(|check| history::body(check, divergence)) {
        return Probe::History(body);
    }
    match (divergence.class, &divergence.actual) {
        (Class::Crash, _) => Probe::Steps { body: CRASH, writes },
        (Class::Hang, _) => Probe::Steps { body: HANG, writes },
        // Of what it took and should not have, its rows may show more.
        (Class::WronglyAccepted, Actual::Rows(_)) => Probe::Steps { body: ACCEPTED, writes },
        (_, Actual::Error(_)) => Probe::Steps { body: REFUSED, writes },
        _ if matches!(check.map(Check::plain), Some(Check::Page { .. })) => Probe::Page,
        (Class::WrongValue, _) => Probe::Values,
        (_, Actual::Differs { diff, .. })
            if diff.missing.is_empty() && diff.extra.is_empty() && diff.keyless == 0 =>
        {
            Probe::Values
        }
        _ => match divergence.expected {
            Expected::Count(_) => Probe::Count,
            Expected::Rows(_) => Probe::Keys,
            Expected::Accepted | Expected::CarriedOut | Expected::Refused | Expected::Agreement => {
                Probe::Steps { body: REFUSED, writes }
            }
        },
    }
}

/// The script.
pub fn script(finding: &Finding) -> String {
    let Finding { case, divergence, .. } = finding;
    let check = case.checks.first();
    let probe = probe(check, divergence);
    let title = title(finding);
    let mut modules = vec!["contextlib", "logging", "os", "sys", "tempfile", "uuid"];
    let values = matches!(probe, Probe::Values);
    let has = |data_type| case.schema.fields.iter().any(|field| field.data_type == data_type);
    let (moments, geometries) = (has(DataType::Timestamptz), has(DataType::Geometry));
    modules.extend(values.then_some("struct"));
    modules.extend((values && moments).then_some("datetime"));
    modules.extend((values && geometries).then_some("re"));
    modules.extend(matches!(probe, Probe::Steps { body: HANG, .. }).then_some("time"));
    modules.extend(history::modules(case));
    modules.extend(omitted::module(case));
    modules.sort_unstable();
    modules.dedup();
    let mut script =
        format!("# {title}\n# Found by milvus-difftest in {}.\n{USAGE}", finding.engine);
    script.extend(modules.iter().map(|module| format!("import {module}\n")));
    script.push_str(PYMILVUS);
    script.push_str(&expected(&probe, case, divergence));
    script.push_str(&omitted::constant(case));
    if case.schema.primary().auto_id {
        script.push_str("HANDLES = {}  # what the rows are called here, by the key they got\n");
    }
    script.push_str(omitted::function(case));
    script.push_str(&written(case, !history::is_torn(divergence)));
    script.push_str(&history::functions(case, matches!(probe, Probe::History(_))));
    let reads = !matches!(probe, Probe::Steps { writes: true, .. });
    if reads && !matches!(probe, Probe::History(_)) {
        script.push_str(&query_function(&probe, &case.schema, check));
    }
    if values {
        let mut texts = if moments { MOMENTS.to_owned() } else { String::new() };
        texts.push_str(if geometries { GEOMETRIES } else { "" });
        script.push_str(&EXACT.replace("@TEXTS@", &texts));
    }
    let body = match &probe {
        Probe::Keys => KEYS.to_owned(),
        Probe::Values => VALUES.to_owned(),
        Probe::Count => COUNT.to_owned(),
        Probe::Page => PAGE.to_owned(),
        Probe::History(body) => history::filled(body, case),
        Probe::Steps { body, writes: true } => body.replace("@STEPS@", &history::all_steps(case)),
        Probe::Steps { body, .. } => body.replace("@STEPS@", "query(client, name)"),
    };
    script.push_str(
        "\n\ndef reproduce(client, name):\n    \"\"\"Whether the bug is present.\"\"\"\n",
    );
    script.push_str(if reads { "    write(client, name)" } else { "" });
    script.push_str(if reads { &body } else { body.trim_start_matches('\n') });
    script.push_str(&MAIN.replace("@ALIASES@", &history::unnamed(case)));
    script
}

/// The constants that the answer is compared with.
fn expected(probe: &Probe, case: &Case, divergence: &Divergence) -> String {
    let key = literal::string(&case.schema.primary().name);
    match (probe, &divergence.expected) {
        (Probe::History(_), _) => history::constants(case, divergence),
        (Probe::Keys, Expected::Rows(keys)) => {
            let mut keys: Vec<&Key> = keys.iter().collect();
            keys.sort();
            let keys = literal::list(keys.into_iter().map(literal::key));
            format!("KEY = {key}\nEXPECTED = {keys}\n")
        }
        (Probe::Values, Expected::Rows(keys)) => {
            let rows = case.rows();
            let rows = keys.iter().filter_map(|key| rows.get(key)).map(|row| {
                let mut row = row.clone();
                for field in &case.schema.fields {
                    // Nulls may be left out when writing, and are returned all the same.
                    row.fields.entry(field.name.clone()).or_insert(crate::value::Value::Null);
                }
                format!("    {},\n", literal::row(&case.schema, &row))
            });
            let bits = case.schema.fields.iter().filter_map(|field| {
                Some(format!("{}: {}", literal::string(&field.name), bits(field)?))
            });
            let bits = bits.collect::<Vec<_>>().join(", ");
            let rows: String = rows.collect();
            format!("KEY = {key}\nEXPECTED = [\n{rows}]\nBITS = {{{bits}}}  # as struct has them\n")
        }
        (Probe::Count, Expected::Count(count)) => format!("EXPECTED = {count}\n"),
        (Probe::Page, _) => {
            let Some(check) = case.checks.first() else { return String::new() };
            let Check::Page { filter, limit, offset } = check.plain() else {
                return String::new();
            };
            // A finding's answer is defined: the reference oracle has judged it.
            let rows = case.rows_asked(check);
            let matching = matching(&filter.expr, &case.schema, &rows).unwrap_or_default();
            let size = matching.len().saturating_sub(*offset as usize).min(*limit as usize);
            let keys = literal::list(matching.iter().map(literal::key));
            format!("KEY = {key}\nMATCHING = {keys}\nSIZE = {size}\n")
        }
        _ => String::new(),
    }
}

/// How a field's values are made exact, as `exact` has it.
fn bits(field: &Field) -> Option<String> {
    let name = match field.data_type {
        DataType::Scalar(Scalar::Float)
        | DataType::Array(Scalar::Float)
        | DataType::SparseVector
        | DataType::FloatVector { .. } => "f",
        DataType::Scalar(Scalar::Double) | DataType::Array(Scalar::Double) => "d",
        DataType::Timestamptz => "time",
        DataType::Geometry => "wkt",
        DataType::StructArray => {
            let members = field.members.iter().filter_map(|member| {
                Some(format!("{}: {}", literal::string(&member.name), bits(member)?))
            });
            return Some(format!("{{{}}}", members.collect::<Vec<_>>().join(", ")));
        }
        _ => return None,
    };
    Some(literal::string(name))
}

/// Creates the collection and runs the operations.
pub(in crate::report) fn write_function(case: &Case) -> String {
    written(case, true)
}

/// The same; a write that a restart interrupts is repeated or not.
fn written(case: &Case, again: bool) -> String {
    let Schema { fields, dynamic } = &case.schema;
    // Only one that is created more than once needs a function for that.
    let again_created = case.operations.contains(&Operation::Recreate) || history::moves(case);
    let first = case.schema_at(0);
    let later = |field: &&Field| first.field(&field.name).is_none();
    let boolean = |b: bool| if b { "True" } else { "False" };
    let mut lines = vec![format!(
        "schema = client.create_schema(auto_id={}, enable_dynamic_field={})",
        boolean(case.schema.primary().auto_id),
        boolean(*dynamic)
    )];
    lines.extend(first.fields.iter().flat_map(add_field));
    for field in fields.iter().filter(later).filter(|_| again_created) {
        lines.push(format!("if {} in added:", literal::string(&field.name)));
        lines.extend(add_field(field).into_iter().map(|line| format!("    {line}")));
    }
    lines.push("index = client.prepare_index_params()".to_owned());
    for vector in fields.iter().filter(|field| field.is_vector()) {
        let name = literal::string(&vector.name);
        let index = match vector.data_type {
            DataType::SparseVector => ("SPARSE_INVERTED_INDEX", ""),
            DataType::BinaryVector { .. } => ("BIN_FLAT", ""),
            DataType::Int8Vector { .. } => ("HNSW", r#", params={"M": 16, "efConstruction": 64}"#),
            _ => ("FLAT", ""),
        };
        let ((index, params), metric) = (index, vector.metric().unwrap_or_default());
        lines.push(format!(
            r#"index.add_index({name}, index_type="{index}", metric_type="{metric}"{params})"#
        ));
    }
    lines.push(
        "client.create_collection(\n        name, schema=schema, index_params=index, \
         consistency_level=\"Strong\", timeout=TIMEOUT\n    )"
            .to_owned(),
    );
    let indented = |lines: Vec<String>| -> String {
        lines.into_iter().map(|line| format!("    {line}\n")).collect()
    };
    let mut interruption = None;
    let steps = case.operations.iter().enumerate();
    let steps = steps.filter_map(|(number, step)| match (step, interruption.take()) {
        (Operation::Maintain(Maintenance::KillInWrite { micros }), _) => {
            interruption = Some(*micros);
            None
        }
        (write, Some(micros)) if write.is_of_rows() => {
            Some(history::interrupted(&operation(case, number, write)?, micros, again))
        }
        (step, _) => operation(case, number, step),
    });
    if again_created {
        let mut writes = vec!["create(client, name)".to_owned()];
        writes.extend(steps);
        let (create, write) = (indented(lines), indented(writes));
        return format!(
            "\n\ndef create(client, name{}):\n{create}\n\ndef write(client, name):\n{write}",
            if fields.iter().any(|field| later(&field)) { ", *added" } else { "" }
        );
    }
    lines.extend(steps);
    format!("\n\ndef write(client, name):\n{}", indented(lines))
}

/// The lines that add a field.
fn add_field(field: &Field) -> Vec<String> {
    let mut lines = Vec::new();
    if field.data_type == DataType::StructArray {
        lines.push("members = client.create_struct_field_schema()".to_owned());
        lines.extend(field.members.iter().map(|member| {
            let arguments = [literal::string(&member.name)].into_iter().chain(type_of(member));
            format!("members.add_field({})", arguments.collect::<Vec<_>>().join(", "))
        }));
    }
    lines.push(format!("schema.add_field({})", arguments(field)));
    lines
}

/// A field as the calls take it that add one to a schema or to a collection.
fn arguments(field: &Field) -> String {
    let mut arguments = vec![literal::string(&field.name)];
    arguments.extend(type_of(field));
    arguments.extend(field.primary.then(|| "is_primary=True".to_owned()));
    arguments.extend(field.auto_id.then(|| "auto_id=True".to_owned()));
    arguments.extend(field.nullable.then(|| "nullable=True".to_owned()));
    arguments.extend(field.partition_key.then(|| "is_partition_key=True".to_owned()));
    let default = field.default.as_ref();
    arguments.extend(default.map(|_| format!("default_value={}", literal::value(&field.absent()))));
    arguments.join(", ")
}

/// The arguments that say a field's type.
fn type_of(field: &Field) -> Vec<String> {
    let data_type = match field.data_type {
        DataType::Array(_) | DataType::StructArray => "ARRAY",
        other => other.kind(),
    };
    let mut arguments = vec![format!("DataType.{data_type}")];
    let max_length = || format!("max_length={}", field.max_length());
    match field.data_type {
        DataType::Scalar(scalar) => arguments.extend((scalar == Scalar::VarChar).then(max_length)),
        DataType::Array(element) => {
            arguments.push(format!("element_type=DataType.{}", DataType::Scalar(element)));
            arguments.push(format!("max_capacity={}", field.max_capacity()));
            arguments.extend((element == Scalar::VarChar).then(max_length));
        }
        DataType::StructArray => {
            arguments.push("element_type=DataType.STRUCT".to_owned());
            arguments.push("struct_schema=members".to_owned());
            arguments.push(format!("max_capacity={}", field.max_capacity()));
        }
        other => arguments.extend(other.dim().map(|dim| format!("dim={dim}"))),
    }
    arguments
}

/// One call; none for an operation on no row.
fn operation(case: &Case, number: usize, operation: &Operation) -> Option<String> {
    let schema = &case.schema;
    let mut options = operation.partition().map_or_else(String::new, |partition| {
        format!("partition_name={}, ", literal::string(partition))
    });
    let (call, rows) = match operation.plain() {
        Operation::Insert(rows) => ("insert", rows),
        Operation::Upsert(rows) => ("upsert", rows),
        Operation::Delete(keys) if keys.is_empty() => return None,
        Operation::Delete(keys) => {
            let ids = literal::list(keys.iter().map(literal::key));
            if schema.primary().auto_id {
                return Some(format!(
                    "ids = [key for key, handle in HANDLES.items() if handle in {ids}]\n    \
                     client.delete(name, ids=ids, {options}timeout=TIMEOUT)"
                ));
            }
            // pymilvus has its own way to write text into a filter.
            let by = match keys.iter().any(|key| matches!(key, Key::Text(_))) {
                true => format!("filter={}", literal::string(&keys_filter(schema, keys))),
                false => format!("ids={ids}"),
            };
            return Some(format!("client.delete(name, {by}, {options}timeout=TIMEOUT)"));
        }
        Operation::Patch(rows) => ("upsert", rows),
        Operation::DeleteWhere(filter) => {
            let filter = literal::string(&filter.to_string());
            return Some(format!("client.delete(name, filter={filter}, {options}timeout=TIMEOUT)"));
        }
        Operation::AddField(name) => {
            let field = arguments(schema.field(name)?);
            return Some(format!("client.add_collection_field(name, {field}, timeout=TIMEOUT)"));
        }
        Operation::CreateAlias(alias) => {
            let alias = history::alias(alias);
            return Some(format!("client.create_alias(name, {alias}, timeout=TIMEOUT)"));
        }
        Operation::AlterAlias { alias, elsewhere } => {
            let to = if *elsewhere { "elsewhere(client, name)" } else { "name" };
            let alias = history::alias(alias);
            return Some(format!("client.alter_alias({to}, {alias}, timeout=TIMEOUT)"));
        }
        Operation::DropAlias(alias) => {
            let alias = history::alias(alias);
            return Some(format!("client.drop_alias({alias}, timeout=TIMEOUT)"));
        }
        Operation::CreatePartition(name) => {
            let name = literal::string(name);
            return Some(format!("client.create_partition(name, {name}, timeout=TIMEOUT)"));
        }
        Operation::DropPartition(name) => {
            return Some(format!("dropped(client, name, {})", literal::string(name)));
        }
        Operation::Into { .. } => return None,
        Operation::Recreate => {
            let added = history::added(&case.operations[..number]);
            return Some(format!("client.drop_collection(name)\n    create(client, name{added})"));
        }
        Operation::Maintain(step) => return Some(history::maintenance(schema, step)),
        Operation::Ask(check) => return Some(history::question(schema, check)),
    };
    if let Operation::Patch(_) = operation.plain() {
        options.push_str("partial_update=True, ");
    }
    if rows.is_empty() {
        return None;
    }
    let call = match operation.plain() {
        // What it leaves out stays as it is, and pymilvus does not send it either.
        Operation::Patch(_) => "client.upsert(name, rows, ".to_owned(),
        _ => omitted::call(&case.schema_at(number), call, rows),
    };
    if schema.primary().auto_id {
        return Some(insert_without_keys(schema, rows, &call, &options));
    }
    let rows: String =
        rows.iter().map(|row| format!("        {},\n", literal::row(schema, row))).collect();
    Some(format!("rows = [\n{rows}    ]\n    {call}{options}timeout=TIMEOUT)"))
}

/// Inserts rows without their keys, and keeps which key each of them got.
fn insert_without_keys(schema: &Schema, rows: &[Row], call: &str, options: &str) -> String {
    let handles = rows.iter().filter_map(|row| row.key(schema));
    let handles = literal::list(handles.map(|key| literal::key(&key)));
    let written = rows.iter().map(|row| {
        let mut row = row.clone();
        row.fields.remove(&schema.primary().name);
        format!("        {},\n", literal::row(schema, &row))
    });
    let written: String = written.collect();
    format!(
        "rows = [\n{written}    ]\n    result = {call}{options}timeout=TIMEOUT)\n    \
         HANDLES.update(zip(result[\"ids\"], {handles}))"
    )
}

/// Asks what the case checks.
fn query_function(probe: &Probe, schema: &Schema, check: Option<&Check>) -> String {
    let (scope, check) = (check.map_or(Scope::WHOLE, Check::scope), check.map(Check::plain));
    let filter = check.and_then(Check::spelled).map(ToString::to_string);
    let mut fields = vec![schema.primary().name.clone()];
    match (probe, check) {
        (Probe::Count, _) | (_, Some(Check::Count(_) | Check::CountAll)) => {
            fields = vec!["count(*)".to_owned()]
        }
        (Probe::Keys | Probe::Page, _) => {}
        _ => {
            fields = schema.fields.iter().map(|field| field.name.clone()).collect();
            fields.extend(schema.dynamic.then(|| META.to_owned()));
        }
    }
    let fields = literal::list(fields.iter().map(|field| literal::string(field)));
    // Servers refuse a query for all rows unless there is a limit.
    let mut limit = match check {
        Some(Check::Page { limit, offset, .. }) => format!("limit={limit}, offset={offset}, "),
        Some(Check::CountAll) => String::new(),
        _ if filter.is_none() => "limit=16384, ".to_owned(),
        _ => String::new(),
    };
    limit.push_str(&history::partitions(scope));
    let name = history::name(scope);
    let filter = literal::string(&filter.unwrap_or_default());
    let key = literal::string(&schema.primary().name);
    let (begin, end) = if schema.primary().auto_id {
        let named = format!("dict(row, **{{{key}: HANDLES.get(row[{key}], row[{key}])}})");
        let counted = fields == "[\"count(*)\"]";
        let row = if counted { "row".to_owned() } else { named };
        ("rows =", format!("    return [{row} for row in rows]\n"))
    } else {
        ("return", String::new())
    };
    format!(
        "\n\ndef query(client, name):\n    {begin} client.query(\n        {name},\n        \
         filter={filter},\n        output_fields={fields},\n        {limit}timeout=TIMEOUT,\n    )\n\
         {end}"
    )
}
