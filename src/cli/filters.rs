//! `filters`: filters for a live collection, with what each should find.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use clap::Args;

use super::compare::to_json;
use super::exit::Exit;
use super::live::{FormArgs, LiveArgs, failure, with_client};
use super::start::{Failure, say};
use crate::client::FilterOptions;
use crate::report::rows::{self, Form};

#[derive(Debug, Clone, Args)]
pub struct FiltersArgs {
    /// How many filters
    #[arg(long, value_name = "N", default_value_t = 20)]
    count: usize,
    /// The same seed gives the same filters for the same entities
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The share of the entities that a filter finds, as 0.1..0.5
    #[arg(long, value_name = "FROM..TO", value_parser = shares, default_value = "0..1")]
    selectivity: RangeInclusive<f64>,
    /// Nest predicates at most so deep; 1 is a single predicate
    #[arg(long, value_name = "N", default_value_t = 6)]
    depth: usize,
    /// How often a construct is used, from 0, never, to 1, as often as otherwise, as like=0.2; may
    /// be given more than once. The names are those of `coverage`
    #[arg(long = "weight", value_name = "CONSTRUCT=SHARE", value_parser = weight)]
    weights: Vec<(String, f64)>,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    form: FormArgs,
}

fn shares(text: &str) -> Result<RangeInclusive<f64>, String> {
    let wrong = || format!("'{text}' is no share of the entities, as 0.1..0.5");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let share = |text: &str| text.trim_start_matches('=').parse::<f64>().map_err(|_| wrong());
    let (from, to) = (share(from)?, share(to)?);
    let fits = 0.0 <= from && from <= to && to <= 1.0;
    if fits { Ok(from..=to) } else { Err(wrong()) }
}

fn weight(text: &str) -> Result<(String, f64), String> {
    let wrong = || format!("'{text}' is no weight, as like=0.2");
    let (name, share) = text.split_once('=').ok_or_else(wrong)?;
    Ok((name.to_owned(), share.parse().map_err(|_| wrong())?))
}

pub async fn run(args: FiltersArgs) -> Result<Exit, Failure> {
    with_client(&args.live.sides, async |client| {
        let options = FilterOptions {
            count: args.count,
            seed: args.seed,
            selectivity: args.selectivity.clone(),
            depth: args.depth,
            weights: args.weights.iter().cloned().collect::<BTreeMap<_, _>>(),
        };
        let filters = client.filters(&args.live.collection, &options).await.map_err(failure)?;
        match args.form.form {
            Form::Json => say(to_json(&filters)?),
            form => {
                let header = ["count", "selectivity", "filter"].map(str::to_owned);
                let lines: Vec<Vec<String>> = filters
                    .iter()
                    .map(|found| {
                        let share = format!("{:.4}", found.selectivity);
                        vec![found.count.to_string(), share, found.filter.clone()]
                    })
                    .collect();
                say(rows::table(form, &header, &lines).trim_end());
            }
        }
        Ok(Exit::Clean)
    })
    .await
}
