//! One finding.

use maud::{Markup, html};

use super::rows;
use crate::case::{Case, Operation};
use crate::finding::Finding;
use crate::report::finding::markdown::shortened;
use crate::report::finding::{Piece, Trace, pieces, python_script, replay, trace};
use crate::report::run::{Side, counted};
use crate::value::Row;
use crate::verdict::Judges;

/// Rows of an operation that are shown.
const ROWS: usize = 20;
/// Characters of a row that are shown.
const LONGEST: usize = 2000;

/// The finding, unfolded or not.
pub fn article(side: &Side, finding: &Finding, open: bool) -> Markup {
    let filter = finding.filter_text();
    let case = side.case_file(finding);
    html! {
        details.finding open[open] {
            summary {
                @for piece in pieces(finding) {
                    @match piece {
                        Piece::Words(words) => (words),
                        Piece::Code(text) => code { (text) },
                    }
                }
                @if finding.count > 1 { span.times { " × " (finding.count) } }
            }
            div {
                (facts(finding))
                @if !filter.is_empty() { h3 { "Filter" } pre { code { (filter) } } }
                (rows::side_by_side(finding))
                @if let Some(trace) = trace(finding) { (truth(&trace)) }
                (schema(&finding.case))
                (steps(&finding.case.operations))
                @if let Some(sql) = &finding.sql {
                    details { summary { "The filter as SQL" } pre { code { (sql) } } }
                }
                details {
                    summary { "A script that reproduces it with pymilvus" }
                    pre { code { (python_script(finding)) } }
                }
                @if let Some(case) = case {
                    h3 { "Run it again" }
                    pre { code { (replay(&finding.engine, &case.display().to_string())) } }
                }
            }
        }
    }
}

fn facts(finding: &Finding) -> Markup {
    let judges = match finding.divergence.judges {
        _ if finding.backend.is_empty() => "expected by the model".to_owned(),
        Judges::ModelAlone => "expected by the model alone".to_owned(),
        Judges::Target => "both ways are answered by the engine".to_owned(),
        Judges::Both => format!("expected by {} and the model", finding.backend),
    };
    let minimal = if finding.minimal { "minimal" } else { "not minimal: shrinking ended early" };
    html! {
        ul.facts {
            li { "class " (finding.divergence.class) }
            li { "oracle " (finding.oracle) }
            li { "seen " (counted(finding.count, "time", "times")) }
            li { (judges) }
            li { (minimal) ", " (counted(finding.evaluations as u64, "evaluation", "evaluations")) }
            li { (finding.origin()) }
        }
    }
}

fn truth(trace: &Trace) -> Markup {
    let class = |truth: &str| match truth {
        "true" => Some("true"),
        "false" => Some("false"),
        "unknown" => Some("unknown"),
        _ => None,
    };
    html! {
        h3 { "The filter's truth, part by part" }
        div.scroll tabindex="0" role="region" aria-label="The filter's truth on each row" {
            table {
                thead { tr {
                    th scope="col" { "Part" }
                    @for key in &trace.keys {
                        th scope="col" { "row " (shortened(&key.to_string(), 40)) }
                    }
                } }
                tbody {
                    @for (part, truths) in &trace.parts {
                        tr {
                            td.part { code { (part) } }
                            @for truth in truths { td class=[class(truth)] { (truth) } }
                        }
                    }
                    @for (name, cells) in &trace.answers {
                        tr {
                            th scope="row" { (name) }
                            @for cell in cells { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn schema(case: &Case) -> Markup {
    let (schema, first) = (&case.schema, case.schema_at(0));
    html! {
        h3 { "Schema" }
        div.scroll tabindex="0" role="region" aria-label="Schema" {
            table {
                thead { tr { th scope="col" { "Field" } th scope="col" { "Type" } th scope="col" { "" } } }
                tbody {
                    @for field in &schema.fields {
                        tr {
                            td { code { (field.name) } }
                            td { (field.data_type) }
                            td {
                                @if field.primary { "primary key " }
                                @if field.auto_id { "assigned by the engine " }
                                @if field.partition_key { "partition key " }
                                @if field.nullable { "nullable " }
                                @if first.field(&field.name).is_none() { "added later " }
                                @if let Some(default) = &field.default { "default " code { (default) } }
                            }
                        }
                    }
                    @if schema.dynamic {
                        tr { td { code { (crate::value::META) } } td { "JSON" } td { "dynamic field" } }
                    }
                }
            }
        }
    }
}

/// Where it writes or deletes, if it names a partition.
fn place(operation: &Operation) -> Markup {
    html! {
        @if let Some(name) = operation.partition() {
            @if operation.deletes() { " in" } @else { " into" } " the partition " code { (name) }
        }
    }
}

fn steps(operations: &[Operation]) -> Markup {
    let rows = |name: &str, place: &Markup, rows: &[Row]| {
        let lines =
            rows.iter().take(ROWS).map(|row| shortened(&row.to_json().to_string(), LONGEST));
        let mut lines: Vec<String> = lines.collect();
        if rows.len() > ROWS {
            lines.push(format!("and {} more", rows.len() - ROWS));
        }
        html! {
            li { (name) " " (counted(rows.len() as u64, "row", "rows")) (place)
                pre { code { (lines.join("\n")) } } }
        }
    };
    html! {
        details {
            summary { "Steps: " (counted(operations.len() as u64, "operation", "operations")) }
            ol {
                @for operation in operations {
                    @let place = place(operation);
                    @match operation.plain() {
                        Operation::Insert(batch) => (rows("insert", &place, batch)),
                        Operation::Upsert(batch) => (rows("upsert", &place, batch)),
                        Operation::Delete(keys) => li {
                            "delete " @for (i, key) in keys.iter().enumerate() {
                                @if i > 0 { ", " } code { (key) }
                            }
                            (place)
                        },
                        Operation::Patch(batch) => (rows("partial upsert", &place, batch)),
                        Operation::DeleteWhere(filter) => li { "delete where " code { (filter) } (place) },
                        Operation::AddField(name) => li { "add the field " code { (name) } },
                        Operation::CreateAlias(name) => li { "create the alias " code { (name) } },
                        Operation::AlterAlias { alias, elsewhere } => li {
                            "point the alias " code { (alias) }
                            @if *elsewhere { " to another collection" } @else { " back" }
                        },
                        Operation::DropAlias(name) => li { "drop the alias " code { (name) } },
                        Operation::CreatePartition(name) => li { "create the partition " code { (name) } },
                        Operation::DropPartition(name) => li { "drop the partition " code { (name) } },
                        Operation::Into { .. } => {},
                        Operation::Recreate => li { "drop the collection and create it again" },
                        Operation::Maintain(step) => li { (step) },
                        Operation::Ask(check) => li { "ask for " code { (check) } },
                    }
                }
            }
        }
    }
}
