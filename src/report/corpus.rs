//! Other forms of a corpus, for test suites that know nothing of this tool.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::finding;
use crate::case::{Case, Operation};
use crate::corpus::Corpus;

/// A form of a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON lines, which `corpus check` reads.
    Jsonl,
    /// A test module for pytest and pymilvus.
    Pytest,
    /// A Go file with a table of cases and a function that checks them.
    Go,
    /// Comma-separated values: filter, count, selectivity, keys, features.
    Csv,
}

/// The corpus in that form.
pub fn render(corpus: &Corpus, format: Format) -> String {
    match format {
        Format::Jsonl => corpus.to_lines(),
        Format::Pytest => pytest(corpus),
        Format::Go => go_file(corpus),
        Format::Csv => csv(corpus),
    }
}

fn pytest(corpus: &Corpus) -> String {
    let case = Case {
        schema: corpus.schema.clone(),
        operations: vec![Operation::Insert(corpus.rows.clone())],
        checks: Vec::new(),
    };
    let cases: String = corpus
        .entries
        .iter()
        .map(|entry| {
            let keys: Vec<String> = entry.keys.iter().map(python).collect();
            format!("    ({}, [{}]),\n", python(&entry.filter.as_str().into()), keys.join(", "))
        })
        .collect();
    let key = python(&corpus.schema.primary().name.as_str().into());
    let write = finding::write_function(&case);
    format!("{PYTEST_HEAD}\nTIMEOUT = 10\nKEY = {key}\nCASES = [\n{cases}]\n{write}{PYTEST_TAIL}",)
}

fn go_file(corpus: &Corpus) -> String {
    let integers = corpus.entries.iter().all(|entry| entry.keys.iter().all(Json::is_i64));
    let key = if integers { "int64" } else { "string" };
    let mut text = format!(
        "// Package filters holds filters for Milvus with the primary keys that they select.\n\
             package filters\n\n\
             import (\n\t\"slices\"\n\t\"testing\"\n)\n\n\
             // Schema and Rows are the collection that the filters are for, as JSON.\n\
             const Schema = {}\n\nconst Rows = {}\n\n\
             // Case is a filter and the primary keys that it selects, sorted.\n\
             type Case struct {{\n\tFilter string\n\tKeys   []{key}\n}}\n\n\
             // Cases are all filters.\nvar Cases = []Case{{\n",
        go(&serde_json::to_string(&corpus.schema).unwrap_or_default()),
        go(&Json::from(corpus.rows.iter().map(|row| row.to_json()).collect::<Vec<_>>())
            .to_string()),
    );
    for entry in &corpus.entries {
        let literal = |key: &Json| key.as_str().map_or_else(|| key.to_string(), go);
        let keys: Vec<String> = entry.keys.iter().map(literal).collect();
        let _ = writeln!(text, "\t{{{}, []{key}{{{}}}}},", go(&entry.filter), keys.join(", "));
    }
    text.push_str("}\n");
    text.push_str(&GO_TAIL.replace("KEY", key));
    text
}

fn csv(corpus: &Corpus) -> String {
    let field = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = "filter,count,selectivity,keys,features\n".to_owned();
    for entry in &corpus.entries {
        let keys = Json::from(entry.keys.clone()).to_string();
        let _ = writeln!(
            text,
            "{},{},{:.4},{},{}",
            field(&entry.filter),
            entry.count,
            entry.selectivity,
            field(&keys),
            field(&entry.features.join(" ")),
        );
    }
    text
}

const PYTEST_HEAD: &str = r#"# Filters for Milvus with the primary keys that they select; made by milvus-difftest.
# Run: MILVUS_URI=http://localhost:19530 pytest FILE. Without MILVUS_URI, an embedded Milvus Lite.
import os
import uuid

import pytest
from pymilvus import DataType, MilvusClient
"#;

const PYTEST_TAIL: &str = r#"

@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    uri = os.environ.get("MILVUS_URI") or str(tmp_path_factory.mktemp("milvus") / "lite.db")
    client = MilvusClient(uri, token=os.environ.get("MILVUS_TOKEN", ""), timeout=TIMEOUT)
    name = f"corpus_{uuid.uuid4().hex}"
    write(client, name)
    yield client, name
    client.drop_collection(name, timeout=TIMEOUT)
    client.close()


@pytest.mark.parametrize(("filter", "keys"), CASES)
def test_filter(collection, filter, keys):
    client, name = collection
    rows = client.query(name, filter=filter, output_fields=[KEY], timeout=TIMEOUT)
    assert sorted(row[KEY] for row in rows) == keys
"#;

const GO_TAIL: &str = r#"
// Check runs every filter through query, which returns the primary keys of the rows that match.
func Check(t *testing.T, query func(filter string) ([]KEY, error)) {
	for _, c := range Cases {
		t.Run(c.Filter, func(t *testing.T) {
			keys, err := query(c.Filter)
			if err != nil {
				t.Fatalf("%s: %v", c.Filter, err)
			}
			slices.Sort(keys)
			if !slices.Equal(keys, c.Keys) {
				t.Errorf("%s: got %v, want %v", c.Filter, keys, c.Keys)
			}
		})
	}
}
"#;

/// A JSON string or number as a Python literal.
fn python(json: &Json) -> String {
    match json {
        Json::String(text) => finding::python_string(text),
        other => other.to_string(),
    }
}

/// A Go string literal.
fn go(text: &str) -> String {
    let mut literal = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => literal.extend(['\\', c]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(literal, "\\u{:04x}", u32::from(c));
            }
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}
