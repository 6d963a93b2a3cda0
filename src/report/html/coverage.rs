//! What of the filter language was asked, as a heat map.

use maud::{Markup, html};

use crate::report::coverage::{Section, sections};
use crate::report::run::Side;

/// Constructs by types of operands, each with how often it was asked.
pub fn map(side: &Side) -> Markup {
    let coverage = &side.summary.coverage;
    let (hit, all) = (coverage.hit(), coverage.wanted().len());
    if all == 0 {
        return html! {};
    }
    let missed: Vec<String> = coverage.missed().map(ToString::to_string).collect();
    html! {
        h2 { "Coverage, " (side.target) }
        p {
            (format!("{:.0} %", 100.0 * coverage.share())) " of what the dialect "
            (side.summary.dialect) " has was asked: " (hit) " of " (all) " constructs on types. "
            span.quiet { "A number is how often; 0 is never, and – what the engine has not got." }
        }
        @if !missed.is_empty() {
            details { summary { "Never asked: " (missed.len()) } p { (missed.join(", ")) } }
        }
        @for section in sections(coverage).into_iter().filter_map(of_the_engine) {
            details open[all < 40] { summary { (section.title) } (table(&section)) }
        }
    }
}

/// Without the types and constructs of which the engine has nothing.
fn of_the_engine(mut section: Section) -> Option<Section> {
    let counted = |text: &String| text.parse::<u64>().is_ok();
    section.rows.retain(|(_, cells)| cells.iter().any(counted));
    let kept: Vec<bool> = (0..section.header.len())
        .map(|i| section.rows.iter().any(|(_, cells)| cells.get(i).is_some_and(counted)))
        .collect();
    let keep = |cells: Vec<String>| {
        let kept = cells.into_iter().zip(&kept).filter(|(_, kept)| **kept);
        kept.map(|(cell, _)| cell).collect::<Vec<_>>()
    };
    section.header = keep(section.header);
    section.rows = section.rows.into_iter().map(|(name, cells)| (name, keep(cells))).collect();
    (!section.rows.is_empty()).then_some(section)
}

fn table(section: &Section) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(section.title) {
            table.heat {
                thead { tr {
                    th scope="col" { "Construct" }
                    @for column in &section.header { th scope="col" { (column) } }
                } }
                tbody { @for (construct, cells) in &section.rows {
                    tr {
                        th scope="row" { (construct) }
                        @for text in cells { (cell(text)) }
                    }
                } }
            }
        }
    }
}

fn cell(text: &str) -> Markup {
    let heat = match text.parse::<u64>() {
        Err(_) => "",
        Ok(0) => "never",
        Ok(1..10) => "h1",
        Ok(10..100) => "h2",
        Ok(100..1000) => "h3",
        Ok(_) => "h4",
    };
    let text = if text == "-" { "–" } else { text };
    html! { td class=[Some(heat).filter(|heat| !heat.is_empty())] { (text) } }
}
