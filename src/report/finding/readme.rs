//! `README.md`: the finding as an issue.

use super::history::is_torn;
use super::markdown::{block, code, shortened, table};
use super::rules;
use super::title::title;
use super::trace::trace;
use crate::case::{Check, Operation, Scope, Search};
use crate::engine::EngineKind;
use crate::finding::Finding;
use crate::schema::Schema;
use crate::value::{Key, META, Row};
use crate::verdict::{Actual, Answer, Class, Expected, Judges, Way};

/// Rows of one operation that are shown; `case.json` has all of them.
const ROWS: usize = 20;
/// Characters of one value that are shown.
const CELL: usize = 60;

/// The file.
pub(super) fn readme(finding: &Finding) -> String {
    let sections = [
        format!("# {}\n\n{}", title(finding), summary(finding)),
        steps(finding),
        expected(finding),
        actual(finding),
        why(finding),
        reproduce(&finding.engine),
        details(finding),
    ];
    sections.join("\n")
}

fn summary(finding: &Finding) -> String {
    let Finding { engine, backend, .. } = finding;
    let (engine, backend) = (code(engine), code(backend));
    if finding.divergence.class == Class::ReferenceConflict {
        return format!(
            "The references, {backend} and the evaluator of milvus-difftest, disagree. This is a \
             defect of milvus-difftest and not of Milvus ({engine}).\n"
        );
    }
    if is_torn(&finding.divergence) {
        return format!(
            "{engine} is killed in the middle of a write. When it is back, rows that the write is \
             about are neither as before it nor as after it.\n"
        );
    }
    let symptom = match finding.divergence.class {
        Class::Crash => "ends on what its documentation allows",
        Class::Hang => "does not answer what its documentation allows",
        Class::SelfInconsistent => "answers the same question in two ways",
        _ => "answers otherwise than the rules below say",
    };
    let judges = match finding.divergence.judges {
        _ if finding.backend.is_empty() => "The expected answer is that of the \
             three-valued evaluator of milvus-difftest: no database was asked."
            .to_owned(),
        Judges::Both => format!(
            "Independent references agree on the expected answer: {backend}, and the \
             three-valued evaluator of milvus-difftest."
        ),
        Judges::Target => {
            "Both ways of asking are put to the same engine, and must agree.".to_owned()
        }
        Judges::ModelAlone => "The expected answer is that of the three-valued evaluator of \
             milvus-difftest alone: SQL cannot express the filter."
            .to_owned(),
    };
    format!("{engine} {symptom}. {judges}\n")
}

fn steps(finding: &Finding) -> String {
    let schema = &finding.case.schema;
    let first = finding.case.schema_at(0);
    let fields: Vec<Vec<String>> = schema
        .fields
        .iter()
        .map(|field| {
            let flags = [
                (field.primary, "primary key"),
                (field.auto_id, "assigned by the engine"),
                (field.partition_key, "partition key"),
                (field.nullable, "nullable"),
                (first.field(&field.name).is_none(), "added later"),
            ];
            let flags = flags.into_iter().filter(|(is, _)| *is).map(|(_, note)| note.to_owned());
            let default = field.default.as_ref();
            let limit = |name: &str, limit: Option<u32>| limit.map(|l| format!("{name} {l}"));
            let members = field.members.iter().map(|member| {
                format!("member {} {}", code(&member.name), code(&member.data_type.to_string()))
            });
            let notes: Vec<String> = flags
                .chain(default.map(|json| format!("default {}", code(&json.to_string()))))
                .chain(limit("max_length", field.max_length))
                .chain(limit("max_capacity", field.max_capacity))
                .chain(members)
                .collect();
            vec![code(&field.name), code(&field.data_type.to_string()), notes.join(", ")]
        })
        .collect();
    let dynamic = if schema.dynamic { "\nThe dynamic field is enabled.\n" } else { "" };
    let header = ["Field", "Type", ""].map(str::to_owned);
    let mut text = format!("## Steps\n\nSchema:\n\n{}{dynamic}", table(&header, &fields));
    for (number, operation) in finding.case.operations.iter().enumerate() {
        let schema = &finding.case.schema_at(number);
        text.push('\n');
        let place = match operation.partition() {
            Some(partition) => {
                let word = if operation.deletes() { "in" } else { "into" };
                format!(" {word} the partition {}", code(partition))
            }
            None => String::new(),
        };
        text.push_str(&match operation.plain() {
            Operation::Insert(batch) => format!("Insert{place}:\n\n{}", rows(schema, batch)),
            Operation::Upsert(batch) => format!("Upsert{place}:\n\n{}", rows(schema, batch)),
            Operation::Delete(keys) => format!("Delete {}{place}.\n", keys_in_words(keys)),
            Operation::Patch(batch) => {
                format!("Upsert in part{place}:\n\n{}", rows(schema, batch))
            }
            Operation::AddField(name) => {
                format!("Add the field {} to the collection.\n", code(name))
            }
            Operation::CreateAlias(name) => {
                format!("Create the alias {} of the collection.\n", code(name))
            }
            Operation::AlterAlias { alias, elsewhere: true } => format!(
                "Point the alias {} to another collection of the same schema, which is empty.\n",
                code(alias)
            ),
            Operation::AlterAlias { alias, elsewhere: false } => {
                format!("Point the alias {} back to the collection.\n", code(alias))
            }
            Operation::DropAlias(name) => format!("Drop the alias {}.\n", code(name)),
            Operation::CreatePartition(name) => format!("Create the partition {}.\n", code(name)),
            Operation::DropPartition(name) => format!(
                "Release the partition {0}, and drop it. Load the collection again.\n",
                code(name)
            ),
            Operation::Into { .. } => String::new(),
            Operation::DeleteWhere(filter) => {
                format!("Delete{place} where:\n\n{}", block("", &filter.to_string()))
            }
            Operation::Recreate => {
                "Drop the collection, and create it again under its name.\n".to_owned()
            }
            Operation::Maintain(step) => sentence(&step.to_string()),
            Operation::Ask(check) => sentence(&format!("ask for {check}")),
        });
    }
    let check = finding.case.checks.first();
    let part = match check.map(Check::scope) {
        Some(scope) if !scope.is_whole() => format!(", {scope}"),
        _ => String::new(),
    };
    match check.map(Check::plain) {
        Some(Check::Query(filter)) => {
            text.push_str(&format!("\nQuery{part}:\n\n{}", block("", &filter.to_string())));
        }
        Some(Check::Count(filter)) => {
            text.push_str(&format!(
                "\nCount{part}, by `count(*)`:\n\n{}",
                block("", &filter.to_string())
            ));
        }
        Some(Check::Page { filter, limit, offset }) => {
            text.push_str(&format!(
                "\nQuery{part}, with `limit={limit}` and `offset={offset}`:\n\n{}",
                block("", &filter.to_string())
            ));
        }
        Some(Check::Refused(filter) | Check::QueryOrRefusal(filter)) => {
            text.push_str(&format!("\nQuery:\n\n{}", block("", &filter.to_string())));
        }
        Some(Check::Agree { relation, filter }) => {
            text.push_str(&format!("\nQuery, {relation}:\n\n{}", block("", &filter.to_string())));
        }
        Some(check @ Check::Search { .. }) => {
            text.push_str(&format!("\nSearch{part}:\n\n{}", block("", &check.to_string())));
        }
        Some(Check::Entities) => {
            text.push_str(&format!("\nRead all rows back{part}.\n"));
        }
        Some(Check::CountAll) => {
            text.push_str(&format!("\nCount all rows{part}, by `count(*)` without a filter.\n"));
        }
        Some(Check::In { .. }) | None => {}
    }
    text
}

/// Rows as a table, without vectors: no filter uses them.
fn rows(schema: &Schema, rows: &[Row]) -> String {
    let fields: Vec<&str> =
        schema.fields.iter().filter(|f| !f.is_vector()).map(|f| f.name.as_str()).collect();
    let cell = |text: String| code(&shortened(&text, CELL));
    let lines: Vec<Vec<String>> = rows
        .iter()
        .take(ROWS)
        .map(|row| {
            let dynamic = schema
                .dynamic
                .then(|| cell(serde_json::Value::Object(row.dynamic.clone()).to_string()));
            let values = fields.iter().map(|field| cell(row.get(field).to_string()));
            values.chain(dynamic).collect()
        })
        .collect();
    let header: Vec<String> =
        fields.iter().copied().chain(schema.dynamic.then_some(META)).map(code).collect();
    let more = match rows.len().saturating_sub(ROWS) {
        0 => String::new(),
        more => format!("\nand {more} more, in `case.json`.\n"),
    };
    table(&header, &lines) + &more
}

fn expected(finding: &Finding) -> String {
    let answer = match &finding.divergence.expected {
        Expected::Refused => "an error: the types do not fit".to_owned(),
        Expected::Rows(keys) => keys_in_words(keys),
        Expected::Count(count) => counted(finding, *count),
        Expected::Accepted if is_torn(&finding.divergence) => {
            "each row as before the write, or as after it".to_owned()
        }
        Expected::Accepted => "the write is accepted".to_owned(),
        Expected::CarriedOut => "it is done, and the collection is loaded".to_owned(),
        Expected::Agreement => "the same answer either way".to_owned(),
    };
    format!("## Expected\n\n{answer}\n")
}

fn actual(finding: &Finding) -> String {
    let answer = match &finding.divergence.actual {
        Actual::Count(count) => counted(finding, *count) + "\n",
        Actual::Rows(keys) => keys_in_words(keys) + "\n",
        Actual::Error(error) => block("text", error),
        Actual::Ways(ways) => {
            let line = |way: &Way| {
                let answer = match &way.answer {
                    Answer::Rows(keys) => keys_in_words(keys),
                    Answer::Count(count) => format!("{count} rows"),
                };
                let filter = way.filter.as_deref().map(|filter| code(&shortened(filter, CELL)));
                vec![way.what.clone(), filter.unwrap_or_default(), answer]
            };
            let header = ["", "Filter", "Answer"].map(str::to_owned);
            table(&header, &ways.iter().map(line).collect::<Vec<_>>())
        }
        Actual::Differs { keys, diff } => {
            let mut text = keys_in_words(keys) + "\n";
            let changes: Vec<Vec<String>> = diff
                .changed
                .iter()
                .take(ROWS)
                .map(|change| {
                    let value =
                        |value: &crate::value::Value| code(&shortened(&value.to_string(), CELL));
                    let key = code(&change.key.to_string());
                    vec![key, code(&change.field), value(&change.expected), value(&change.actual)]
                })
                .collect();
            if !changes.is_empty() {
                let header = ["Row", "Field", "Written", "Returned"].map(str::to_owned);
                text.push_str(&format!("\n{}", table(&header, &changes)));
            }
            if diff.keyless > 0 {
                text.push_str(&format!("\nRows without a primary key: {}.\n", diff.keyless));
            }
            text
        }
    };
    format!("## Actual\n\n{answer}")
}

fn counted(finding: &Finding, count: u64) -> String {
    match finding.case.checks.first().map(Check::plain) {
        Some(Check::Page { .. }) if count == 1 => "1 row".to_owned(),
        Some(Check::Page { .. }) => format!("{count} rows"),
        _ => format!("`count(*)` is {count}"),
    }
}

/// With a capital, a full stop and a line's end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.\n", letters.as_str())
}

fn keys_in_words(keys: &[Key]) -> String {
    let shown: Vec<String> = keys.iter().take(ROWS).map(|key| code(&key.to_string())).collect();
    let more =
        if keys.len() > ROWS { format!(", … ({} rows)", keys.len()) } else { String::new() };
    match keys {
        [] => "no row".to_owned(),
        [_] => format!("row {}", shown.join("")),
        _ => format!("rows {}{more}", shown.join(", ")),
    }
}

/// Why the expected answer is the right one.
fn why(finding: &Finding) -> String {
    let mut text = "## Why\n".to_owned();
    if is_torn(&finding.divergence) {
        text.push_str(
            "\nOf a write that was not acknowledged, each row may be as before it or as after it: \
             what is there in both states is not lost, and what is in neither does not come.\n",
        );
        return text;
    }
    let check = finding.case.checks.first().map(Check::plain);
    let searches = matches!(check, Some(Check::Search { .. }));
    if finding.divergence.class == Class::WrongValue && !searches {
        text.push_str("\nEvery field comes back with the value that was last written.\n");
    }
    let scope = finding.case.checks.first().map_or(Scope::WHOLE, Check::scope);
    if !scope.partitions.is_empty() {
        text.push_str(
            "\nA question that names partitions is about their rows alone \
             ([Query](https://milvus.io/docs/get-and-scalar-query.md)).\n",
        );
    }
    let adds = |step: &Operation| matches!(step, Operation::AddField(_));
    if finding.case.operations.iter().any(adds) {
        text.push_str(
            "\nRows that were there before a field was added have its default value, or null \
             ([Add Fields to an Existing Collection]\
             (https://milvus.io/docs/add-fields-to-an-existing-collection.md)).\n",
        );
    }
    let is_limited = |step: &Operation| step.deletes() && step.partition().is_some();
    if finding.case.operations.iter().any(is_limited) {
        text.push_str(
            "\nA deletion that names a partition deletes the rows in that partition alone \
             ([Delete Entities](https://milvus.io/docs/delete-entities.md)).\n",
        );
    }
    if scope.alias.is_some() {
        text.push_str(
            "\nAn alias stands for the collection that it was pointed to last \
             ([Manage Aliases](https://milvus.io/docs/manage-aliases.md)).\n",
        );
    }
    if let Some(Check::Search { search, .. }) = finding.case.checks.first().map(Check::plain) {
        text.push_str(&nearest(search));
    }
    let Some(filter) = finding.case.checks.first().and_then(Check::filter) else {
        if let Expected::Accepted = finding.divergence.expected {
            text.push_str(
                "\nThe rows fit the schema, no key is inserted twice, and filters by which rows are \
                 deleted are ones that the documentation has.\n",
            );
        } else if let Expected::CarriedOut = finding.divergence.expected {
            text.push_str(
                "\nA collection that was loaded and released can be loaded again \
                 ([Load & Release](https://milvus.io/docs/load-and-release.md)), also after its \
                 indexes or the server are changed.\n",
            );
        } else if finding.divergence.class == Class::WronglyRejected {
            text.push_str(
                "\nA query with a limit needs no filter, and returns the fields that it names \
                 ([Query](https://milvus.io/docs/get-and-scalar-query.md)).\n",
            );
        } else if finding.divergence.class != Class::WrongValue && !searches {
            text.push_str(
                "\nEvery row that was written and not deleted is returned, and no other \
                 ([Query](https://milvus.io/docs/get-and-scalar-query.md)).\n",
            );
        }
        return text;
    };
    if let Some(trace) = trace(finding) {
        text.push_str(&format!("\n{}", trace.markdown()));
    }
    let rules: String = rules::touched(&finding.case.schema, filter)
        .map(|rule| format!("- **{}.** {} ({})\n", rule.name, rule.sentence, rule.source))
        .collect();
    if !rules.is_empty() {
        text.push_str(&format!("\n{rules}"));
    }
    if let Some(sql) = &finding.sql {
        text.push_str(&format!("\nThe filter as SQL:\n\n{}", block("sql", sql)));
    }
    text
}

/// What a search must find.
fn nearest(search: &Search) -> String {
    let mut text = "\nA search finds the nearest of the rows that match, the nearest first \
                    ([Basic Vector Search](https://milvus.io/docs/single-vector-search.md)).\n"
        .to_owned();
    if search.radius.is_some() {
        text.push_str(
            "\nWithin a range, rows are nearer than `radius` and no nearer than `range_filter` \
             ([Range Search](https://milvus.io/docs/range-search.md)).\n",
        );
    }
    if search.group_by.is_some() {
        text.push_str(
            "\nBy groups, it finds the nearest row of each group \
             ([Grouping Search](https://milvus.io/docs/grouping-search.md)).\n",
        );
    }
    text
}

fn reproduce(engine: &str) -> String {
    // The version that was tested: a newer one may have mended it.
    let kind = EngineKind::of_version(engine);
    let packages = match (kind, engine.strip_prefix("milvus_lite-")) {
        (Some(kind), _) => kind.requirement(),
        (_, Some(version)) => format!("milvus-lite=={version}"),
        (_, None) => "milvus-lite".to_owned(),
    };
    let embedded = match kind.map(EngineKind::like) {
        Some(EngineKind::Milvus23) => "milvus-server &                          # on port 19530\n",
        _ => "python repro.py                          # in an embedded Milvus Lite\n",
    };
    let commands = format!(
        "pip install pymilvus {packages}\n\
         {embedded}\
         python repro.py http://localhost:19530   # in a server\n"
    );
    let replay = replay(engine, "case.json");
    format!(
        "## Reproduce\n\n{}\nThe exit status is 0 if the bug is present, 1 if it is not. With \
         milvus-difftest, references included:\n\n{}\n\
         or put `repro.rs` among the tests of a crate.\n",
        block("sh", &commands),
        block("sh", &replay),
    )
}

/// The command that runs a case again, on the version of the engine that was tested where that can
/// be installed.
pub fn replay(engine: &str, case: &str) -> String {
    match EngineKind::of_version(engine) {
        Some(kind) if kind != EngineKind::default() => {
            format!("milvus-difftest replay {case} --engine {kind}")
        }
        _ => format!("milvus-difftest replay {case}"),
    }
}

fn details(finding: &Finding) -> String {
    let minimal = match finding.minimal {
        true => "yes: no single step makes the case smaller",
        false => "no: the budget for shrinking ended first; `milvus-difftest shrink` goes on",
    };
    let times = match finding.count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let reference = match finding.backend.as_str() {
        "" => "the evaluator alone".to_owned(),
        backend => code(backend),
    };
    let facts = [
        ("Class", finding.divergence.class.to_string()),
        ("Engine", code(&finding.engine)),
        ("Reference", reference),
        ("Seen", format!("{times} in this shape")),
        ("Shape", code(&finding.shape)),
        ("Minimal", format!("{minimal} ({} cases judged)", finding.evaluations)),
        ("Found by", finding.origin()),
    ];
    let facts: Vec<Vec<String>> =
        facts.into_iter().map(|(name, fact)| vec![name.to_owned(), fact]).collect();
    format!("## Details\n\n{}", table(&[String::new(), String::new()], &facts))
}
