//! `--config`: the options of `fuzz` in a TOML file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Command};
use serde::Deserialize;

use super::args::{BackendArgs, FuzzArgs, TargetArgs, duration};
use super::report::ReportTo;
use crate::engine::EngineChoice;
use crate::oracle::Oracle;

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the configuration {} is wrong: {reason}", path.display())]
    Invalid { path: PathBuf, reason: String },
}

/// The options, by their long names with `_` for `-`, or as they are.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    time: Option<String>,
    cases: Option<u64>,
    seed: Option<u64>,
    jobs: Option<usize>,
    engine: Option<String>,
    filters: Option<u16>,
    backend: Option<String>,
    backend_password: Option<String>,
    depth: Option<u16>,
    beyond_dialect: Option<bool>,
    oracle: Option<String>,
    target: Option<String>,
    dialect: Option<String>,
    token: Option<String>,
    cache: Option<PathBuf>,
    python: Option<PathBuf>,
    query_timeout: Option<String>,
    out: Option<PathBuf>,
    shard: Option<String>,
    resume: Option<PathBuf>,
    summary: Option<PathBuf>,
    events: Option<PathBuf>,
    report: Option<String>,
    shrink_evaluations: Option<usize>,
    shrink_time: Option<String>,
    no_feedback: Option<bool>,
    strict: Option<bool>,
    known: Option<PathBuf>,
}

/// The options from the command line and environment, and what they leave open from the file.
pub fn with_file(args: FuzzArgs) -> Result<FuzzArgs, ConfigError> {
    let Some(path) = args.config.clone() else { return Ok(args) };
    let text = std::fs::read_to_string(&path)
        .map_err(|source| ConfigError::Io { path: path.clone(), source })?;
    let file = parse(&path, &text)?;
    let time = |key: &str, value: Option<String>| -> Result<Option<Duration>, ConfigError> {
        let parsed = value.map(|text| duration(&text)).transpose();
        parsed.map_err(|reason| invalid(&path, format!("{key}: {reason}")))
    };
    let mut oracle = args.oracle;
    if oracle.is_empty() {
        let names = file.oracle.iter().flat_map(|names| names.split(','));
        oracle = names
            .map(|name| name.trim().parse::<Oracle>())
            .collect::<Result<_, _>>()
            .map_err(|error| invalid(&path, format!("oracle: {error}")))?;
    }
    // Whichever is on the command line replaces both.
    let (mut engine, mut target) = (args.target.engine, args.target.target);
    if engine.is_empty() && target.is_empty() {
        let names = file.engine.iter().flat_map(|names| names.split(','));
        engine = names
            .map(|name| name.trim().parse::<EngineChoice>())
            .collect::<Result<_, _>>()
            .map_err(|error| invalid(&path, format!("engine: {error}")))?;
        let uris = file.target.iter().flat_map(|uris| uris.split(','));
        target = uris.map(|uri| uri.trim().to_owned()).collect();
    }
    Ok(FuzzArgs {
        time: args.time.or(time("time", file.time)?),
        cases: args.cases.or(file.cases),
        seed: args.seed.or(file.seed),
        jobs: args.jobs.or(file.jobs),
        filters: args.filters.or(file.filters),
        depth: args.depth.or(file.depth),
        oracle,
        beyond_dialect: args.beyond_dialect || file.beyond_dialect.unwrap_or(false),
        target: TargetArgs {
            dialect: args.target.dialect.or(file.dialect),
            engine,
            target,
            token: args.target.token.or(file.token),
            cache: args.target.cache.or(file.cache),
            python: args.target.python.or(file.python),
            query_timeout: args.target.query_timeout.or(time("query-timeout", file.query_timeout)?),
        },
        backends: BackendArgs {
            backend: match (args.backends.backend, file.backend) {
                (given, Some(file)) if given.is_empty() => {
                    file.split(',').map(str::to_owned).collect()
                }
                (given, _) => given,
            },
            backend_password: args.backends.backend_password.or(file.backend_password),
        },
        // One of them on the command line replaces the other in the file.
        out: if args.resume.is_some() { None } else { args.out.clone().or(file.out) },
        resume: args.resume.or(if args.out.is_some() { None } else { file.resume }),
        shard: match (args.shard, file.shard) {
            (None, Some(text)) => {
                Some(text.parse().map_err(|error| invalid(&path, format!("shard: {error}")))?)
            }
            (given, _) => given,
        },
        summary: args.summary.or(file.summary),
        events: args.events.or(file.events),
        report: match (args.report, file.report) {
            (given, Some(file)) if given.is_empty() => file
                .split(',')
                .map(|report| report.trim().parse::<ReportTo>())
                .collect::<Result<_, _>>()
                .map_err(|error| invalid(&path, format!("report: {error}")))?,
            (given, _) => given,
        },
        shrink_evaluations: args.shrink_evaluations.or(file.shrink_evaluations),
        shrink_time: args.shrink_time.or(time("shrink-time", file.shrink_time)?),
        no_feedback: args.no_feedback || file.no_feedback.unwrap_or(false),
        strict: args.strict || file.strict.unwrap_or(false),
        known: args.known.or(file.known),
        config: args.config,
    })
}

fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
    // The parser's message quotes the line, which may hold a token.
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        invalid(path, format!("line {line}: {}", error.message()))
    })?;
    let known = keys();
    for key in table.keys() {
        if !known.contains(key) {
            let close = known.iter().max_by(|a, b| {
                strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b))
            });
            let hint = close
                .filter(|close| strsim::jaro_winkler(key, close) > 0.85)
                .map(|close| format!("; did you mean '{close}'?"));
            let hint = hint.unwrap_or_else(|| format!("; known are {}", known.join(", ")));
            return Err(invalid(path, format!("unknown key '{key}'{hint}")));
        }
    }
    // One by one first, to name the key that is wrong: the parser's own message has its value.
    for (key, value) in &table {
        let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
        if let Err(error) = alone.try_into::<File>() {
            let number = error.message().ends_with("u64") || error.message().ends_with("usize");
            let expected = match error.message() {
                message if message.ends_with("boolean") => "true or false",
                _ if number => "a whole number, 0 or more",
                _ => "a string",
            };
            return Err(invalid(path, format!("'{key}' must be {expected}")));
        }
    }
    table.try_into().map_err(|_: toml::de::Error| invalid(path, "it is no table".to_owned()))
}

/// Every long option of `fuzz` but `--config` itself.
fn keys() -> Vec<String> {
    let command = FuzzArgs::augment_args(Command::new("fuzz"));
    let options = command.get_arguments().filter_map(|arg| arg.get_long());
    options.filter(|long| *long != "config").map(str::to_owned).collect()
}

fn invalid(path: &Path, reason: String) -> ConfigError {
    ConfigError::Invalid { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(Path::new("difftest.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn unknown_keys_get_a_suggestion() {
        assert!(message("tmie = '5m'").contains("did you mean 'time'?"));
        assert!(message("zzz = 1").contains("known are time, cases"));
    }

    #[test]
    fn wrong_types_and_syntax_do_not_show_values() {
        assert!(!message("token = 'hunter2").contains("hunter2"));
        assert!(!message("seed = 'hunter2'").contains("hunter2"));
        assert!(message("seed = 'x'").contains("'seed' must be a whole number"));
    }

    #[test]
    fn every_option_can_be_in_the_file() {
        let text = keys().iter().fold(String::new(), |text, key| {
            let value = match key.as_str() {
                "strict" | "beyond-dialect" | "no-feedback" => "true",
                "cases" | "seed" | "jobs" | "shrink-evaluations" | "depth" | "filters" => "7",
                _ => "'7s'",
            };
            text + &format!("{key} = {value}\n")
        });
        let file = parse(Path::new("difftest.toml"), &text).unwrap();
        assert_eq!((file.seed, file.shrink_evaluations), (Some(7), Some(7)));
        assert_eq!(file.query_timeout.as_deref(), Some("7s"));
    }
}
