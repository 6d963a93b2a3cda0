//! `coverage`: how much of the filter language generated cases reach.

use std::collections::BTreeMap;

use super::args::{CoverageArgs, CoverageFormat};
use super::exit::Exit;
use super::start::{Failure, say};
use crate::case::Check;
use crate::filter::grammar::{Cell, Coverage, cells};
use crate::generate::case;
use crate::milvus::Dialect;
use crate::report::coverage::{json, markdown, text};

pub fn run(args: &CoverageArgs) -> Result<Exit, Failure> {
    let dialect = match (&args.dialect, &args.engine) {
        (Some(name), _) => Dialect::load(name),
        (None, engine) => Dialect::for_version(engine.as_deref().unwrap_or_default()),
    };
    let dialect = dialect.map_err(Failure::usage)?;
    let mut coverage = Coverage::of(dialect.cells());
    for number in 0..args.cases {
        let case = case(args.seed, number, &dialect);
        let mut touched: BTreeMap<Cell, u64> = BTreeMap::new();
        let checks = case.checks.iter().filter(|check| !matches!(check, Check::Refused(_)));
        for filter in checks.filter_map(Check::spelled) {
            for cell in cells(&case.schema, filter) {
                *touched.entry(cell).or_default() += 1;
            }
        }
        coverage.add(&touched);
    }
    let printed = match args.format {
        CoverageFormat::Text => text(&coverage),
        CoverageFormat::Markdown => markdown(&coverage),
        CoverageFormat::Json => json(&coverage),
    };
    say(printed.trim_end());
    if args.format == CoverageFormat::Text {
        say(format_args!(
            "\n{} of {} cells of the dialect {} in {} cases of seed {} ({:.1} %)",
            coverage.hit(),
            coverage.wanted().len(),
            dialect.name,
            args.cases,
            args.seed,
            100.0 * coverage.share(),
        ));
    }
    Ok(Exit::Clean)
}
