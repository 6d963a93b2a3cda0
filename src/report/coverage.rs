//! What of the filter language was asked, as tables of constructs and types of operands.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::filter::grammar::{Cell, Construct, Coverage, Kind, Operand, everything};

/// One table: some operands, and every construct that any of them takes.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) header: Vec<String>,
    /// For each construct how often it was asked of each operand; `-` if the engine has none of
    /// these, and nothing if they have no meaning.
    pub(super) rows: Vec<(Construct, Vec<String>)>,
}

pub(super) fn sections(coverage: &Coverage) -> Vec<Section> {
    let all = everything(true);
    let kinds = |member: fn(Kind) -> bool| {
        let mut kinds: Vec<Kind> =
            all.iter().filter_map(|cell| cell.operand).map(|operand| operand.kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds.retain(|kind| member(*kind));
        kinds
    };
    let with_operands = [
        ("Columns", kinds(|kind| matches!(kind, Kind::Column(_)))),
        ("Elements of arrays", kinds(|kind| matches!(kind, Kind::Element(_)))),
        ("Whole arrays", kinds(|kind| matches!(kind, Kind::Array(_)))),
        ("JSON and the dynamic field", kinds(|kind| kind == Kind::Json || kind.is_json_path())),
        (
            "Times, geometries and structs",
            kinds(|kind| matches!(kind, Kind::Timestamp | Kind::Geometry | Kind::Structs)),
        ),
        ("Members of structs", kinds(|kind| matches!(kind, Kind::Member(_)))),
    ];
    let mut sections: Vec<Section> = with_operands
        .into_iter()
        .map(|(title, kinds)| Section {
            title,
            header: kinds.iter().map(Kind::to_string).collect(),
            rows: rows(coverage, &kinds),
        })
        .collect();
    let alone = Construct::ALL.iter().filter(|construct| construct.fits(None));
    sections.push(Section {
        title: "The filter as a whole",
        header: vec!["times".to_owned()],
        rows: alone
            .map(|construct| (*construct, vec![counted(coverage, *construct, &[None])]))
            .collect(),
    });
    sections
}

fn rows(coverage: &Coverage, kinds: &[Kind]) -> Vec<(Construct, Vec<String>)> {
    let cell = |construct: Construct, kind: Kind| {
        let operands = [false, true].map(|nullable| Some(Operand { kind, nullable }));
        counted(coverage, construct, &operands)
    };
    Construct::ALL
        .iter()
        .map(|construct| (*construct, kinds.iter().map(|kind| cell(*construct, *kind)).collect()))
        .filter(|(_, cells): &(_, Vec<String>)| cells.iter().any(|cell| !cell.is_empty()))
        .collect()
}

/// The count of a construct on some operands, `-` if the engine has none of them, and nothing if
/// they have no meaning.
fn counted(coverage: &Coverage, construct: Construct, operands: &[Option<Operand>]) -> String {
    let cells: Vec<Cell> = operands
        .iter()
        .filter(|operand| construct.fits(**operand))
        .map(|operand| Cell { construct, operand: *operand })
        .collect();
    if cells.is_empty() || construct == Construct::Template {
        String::new()
    } else if !cells.iter().any(|cell| coverage.wanted().contains(cell)) {
        "-".to_owned()
    } else {
        cells.iter().map(|cell| coverage.count(cell)).sum::<u64>().to_string()
    }
}

/// For a terminal.
pub fn text(coverage: &Coverage) -> String {
    let mut text = String::new();
    for section in sections(coverage) {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(
            std::iter::once(section.title).chain(section.header.iter().map(String::as_str)),
        );
        for (construct, cells) in section.rows {
            table.add_row(std::iter::once(construct.to_string()).chain(cells));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\n", table.trim_fmt());
    }
    let missed: Vec<String> = coverage.missed().map(Cell::to_string).collect();
    if !missed.is_empty() {
        let _ = writeln!(text, "never: {}", missed.join(", "));
    }
    text
}

/// For a document.
pub fn markdown(coverage: &Coverage) -> String {
    let mut text = String::new();
    for section in sections(coverage) {
        let header = section.header.join(" | ");
        let line = "---|".repeat(section.header.len());
        let _ = writeln!(text, "| {} | {header} |\n|---|{line}", section.title);
        for (construct, cells) in section.rows {
            let _ = writeln!(text, "| {construct} | {} |", cells.join(" | "));
        }
        text.push('\n');
    }
    let missed: Vec<String> = coverage.missed().map(|cell| format!("`{cell}`")).collect();
    let never = if missed.is_empty() { "nothing".to_owned() } else { missed.join(", ") };
    let _ = writeln!(text, "Never touched: {never}.");
    text
}

/// For programs.
pub fn json(coverage: &Coverage) -> String {
    #[derive(Serialize)]
    struct Entry {
        construct: &'static str,
        operand: Option<String>,
        count: u64,
    }
    #[derive(Serialize)]
    struct File {
        share: f64,
        cells: Vec<Entry>,
    }
    let cells = coverage.wanted().iter().map(|cell| Entry {
        construct: cell.construct.name(),
        operand: cell.operand.map(|operand| operand.to_string()),
        count: coverage.count(cell),
    });
    let file = File { share: coverage.share(), cells: cells.collect() };
    // Strings and numbers always serialise.
    serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
}
