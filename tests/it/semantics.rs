//! docs/semantics.md says what the code says.

use std::path::Path;

use milvus_difftest::filter::Switch;

const BEGIN: &str = "<!-- switches -->\n";
const END: &str = "<!-- /switches -->";

#[test]
fn the_documented_switches_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/semantics.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let expected = switches();
    if std::env::var("MILVUS_DIFFTEST_DOCS").is_ok_and(|wish| wish == "write") {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert!(
        table == expected,
        "the table is stale; MILVUS_DIFFTEST_DOCS=write writes it. It should be:\n{expected}"
    );
}

fn switches() -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut table =
        "| Switch | Canonical | Turned | Told apart by | Source |\n|---|---|---|---|---|\n"
            .to_owned();
    for switch in Switch::ALL {
        table.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            switch.name(),
            cell(switch.canonical()),
            cell(switch.turned()),
            example(switch.example()),
            cell(switch.source()),
        ));
    }
    table
}

/// `filter on value` as code, but for the word between.
fn example(text: &str) -> String {
    match text.rsplit_once(" on ") {
        Some((filter, value)) => format!("`{filter}` on `{value}`"),
        None => format!("`{text}`"),
    }
}
