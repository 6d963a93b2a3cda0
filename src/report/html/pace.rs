//! Checks over time.

use maud::{Markup, html};

use crate::report::run::{Run, Side};
use crate::verdict::Tally;

const HEIGHT: u64 = 100;
const WIDTH: usize = 10;

/// A bar for each moment of the run, from what passed up to what diverged.
pub fn chart(side: &Side, run: &Run) -> Markup {
    let highest = side.pace.iter().map(Tally::total).max().unwrap_or(0);
    if highest == 0 {
        return html! {};
    }
    let totals = kinds(&side.summary.verdicts);
    let Run { seconds, moment, .. } = *run;
    let width = seconds / moment * WIDTH as f64;
    let words: Vec<String> =
        totals.iter().map(|(_, name, count)| format!("{count} {name}")).collect();
    let label = format!("Checks over {seconds:.1} s: {}", words.join(", "));
    html! {
        h2 { "Checks over time, " (side.target) }
        svg.pace viewBox=(format!("0 0 {width:.1} {HEIGHT}")) preserveAspectRatio="none" role="img"
            aria-label=(label) {
            @for (i, tally) in side.pace.iter().enumerate() {
                @for (class, top, height) in stack(tally, highest) {
                    rect class=(class) x=(i * WIDTH) y=(format!("{top:.2}")) width=(WIDTH - 1)
                        height=(format!("{height:.2}")) {}
                }
            }
        }
        div.axis { span { "0 s" } span { "at most " (highest) " checks in " (format!("{moment} s")) }
            span { (format!("{seconds:.1} s")) } }
        ul.keys {
            @for (class, name, count) in totals {
                li { span class={ "key " (class) } aria-hidden="true" {} (count) " " (name) }
            }
        }
        details { summary { "The figures" } (figures(&side.pace, moment)) }
    }
}

fn figures(pace: &[Tally], moment: f64) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Checks over time" {
            table {
                thead { tr {
                    th.number scope="col" { "From (s)" }
                    @for (_, name, _) in kinds(&Tally::default()) { th.number scope="col" { (name) } }
                } }
                tbody { @for (i, tally) in pace.iter().enumerate().filter(|(_, t)| t.total() > 0) {
                    tr {
                        th.number scope="row" { (i as f64 * moment) }
                        @for (_, _, count) in kinds(tally) { td.number { (count) } }
                    }
                } }
            }
        }
    }
}

fn kinds(tally: &Tally) -> [(&'static str, &'static str, u64); 4] {
    [
        ("pass", "passed", tally.pass),
        ("known", "known", tally.known),
        ("open", "inconclusive or unsupported", tally.inconclusive + tally.unsupported),
        ("diverge", "diverged", tally.divergence),
    ]
}

/// Class, top and height of each piece of a bar.
fn stack(tally: &Tally, highest: u64) -> Vec<(&'static str, f64, f64)> {
    let scale = HEIGHT as f64 / highest as f64;
    let mut top = HEIGHT as f64;
    let mut pieces = Vec::new();
    for (class, _, count) in kinds(tally) {
        let height = count as f64 * scale;
        top -= height;
        pieces.extend((count > 0).then_some((class, top, height)));
    }
    pieces
}
