//! `shell`: a prompt for filters, answered by both sides.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use etcetera::{BaseStrategy, choose_base_strategy};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use super::exit::Exit;
use super::live::{LiveArgs, failure, with_client};
use super::query;
use super::start::{Failure, note, say};
use crate::client::DiffClient;
use crate::filter::{Semantics, parse};
use crate::report::explanation::Explanation;
use crate::report::rows::Form;
use crate::schema::Schema;

#[derive(Debug, Clone, Args)]
pub struct ShellArgs {
    #[command(flatten)]
    live: LiveArgs,
}

const HELP: &str = "\
a filter          both answers, and what differs
\\compare FILTER   only what differs
\\compare          every entity of both sides
\\count [FILTER]   how many entities each side has
\\sample [N]       entities of the backend, drawn at random
\\filters [N]      generated filters, with what each should find
\\explain FILTER   its types and its SQL
\\fields           the fields of the collection
\\help, \\quit";

pub async fn run(args: ShellArgs) -> Result<Exit, Failure> {
    with_client(&args.live.sides, async |client| {
        let name = &args.live.collection;
        let schema = client.schema(name).map_err(failure)?;
        let mut lines = Lines::open(&schema)?;
        if lines.is_interactive() {
            note(format_args!("{name}; \\help for help, Tab completes, Ctrl-D ends"));
        }
        let mut worst = Exit::Clean;
        loop {
            // The editor waits for keys; whatever else there is to do goes on meanwhile.
            let (line, back) = tokio::task::spawn_blocking(move || {
                let line = lines.next();
                (line, lines)
            })
            .await
            .map_err(|error| Failure::environment(format!("the prompt failed: {error}")))?;
            lines = back;
            let Some(line) = line? else { return Ok(worst) };
            match answer(client, name, &schema, line.trim()).await {
                Ok(None) => return Ok(worst),
                Ok(Some(Exit::Clean)) => {}
                Ok(Some(exit)) => worst = exit,
                // A mistake is no reason to leave.
                Err(failure) => {
                    note(format_args!("error: {}", failure.message()));
                    if !lines.is_interactive() {
                        worst = failure.exit();
                    }
                }
            }
        }
    })
    .await
}

/// Answers a line; `None` to leave.
async fn answer(
    client: &DiffClient,
    name: &str,
    schema: &Schema,
    line: &str,
) -> Result<Option<Exit>, Failure> {
    let (command, rest) = match line.strip_prefix('\\') {
        None if line.is_empty() => return Ok(Some(Exit::Clean)),
        None => ("", line),
        Some(command) => command.split_once(char::is_whitespace).unwrap_or((command, "")),
    };
    let rest = rest.trim();
    let number = |default: usize| match rest {
        "" => Ok(default),
        rest => rest.parse().map_err(|_| Failure::usage(format!("'{rest}' is no number"))),
    };
    match command {
        "" => {
            let pair = client.query(name, rest).await.map_err(failure)?;
            return query::show(&pair, schema, None, Form::Table).map(Some);
        }
        "compare" if rest.is_empty() => {
            let options = crate::client::EntityOptions::default();
            let compared = client.compare_entities(name, &options).await.map_err(failure)?;
            say(&compared);
            return Ok(Some(if compared.is_same() { Exit::Clean } else { Exit::Findings }));
        }
        "compare" => {
            let compared = client.compare_query(name, rest).await.map_err(failure)?;
            say(&compared);
            return Ok(Some(if compared.is_same() { Exit::Clean } else { Exit::Findings }));
        }
        "count" => {
            let filter = (!rest.is_empty()).then_some(rest);
            let counts = client.count(name, filter).await.map_err(failure)?;
            say(&counts);
            return Ok(Some(if counts.is_same() { Exit::Clean } else { Exit::Findings }));
        }
        "sample" => {
            let rows = client.sample(name, number(10)?, 1).await.map_err(failure)?;
            let rows = rows.iter().map(|row| ("", row));
            say(crate::report::rows::rows(Form::Table, schema, None, rows).trim_end());
        }
        "filters" => {
            let count = number(10)?;
            let options = crate::client::FilterOptions { count, ..Default::default() };
            for found in client.filters(name, &options).await.map_err(failure)? {
                say(format_args!("{:>10}  {}", found.count, found.filter));
            }
        }
        "explain" => {
            let filter =
                parse(rest).map_err(|error| Failure::usage(format!("\n{}", error.render(rest))))?;
            let explained = Explanation::new(schema, &filter, &[], Semantics::canonical());
            let explained = explained.map_err(|error| {
                Failure::usage(format!("\n{}", error.render(&filter.to_string())))
            })?;
            say(explained.to_string().trim_end());
        }
        "fields" => {
            for field in &schema.fields {
                let key = if field.primary { ", the key" } else { "" };
                let null = if field.nullable { ", nullable" } else { "" };
                say(format_args!("{}: {}{key}{null}", field.name, field.data_type));
            }
        }
        "help" | "h" | "?" => say(HELP),
        "quit" | "q" | "exit" => return Ok(None),
        other => return Err(Failure::usage(format!("there is no \\{other}; \\help lists all"))),
    }
    Ok(Some(Exit::Clean))
}

/// Where lines come from: an editor with history on a terminal, plain lines otherwise.
enum Lines {
    Editor(Box<Editor<Words, FileHistory>>, Option<PathBuf>),
    Plain,
}

impl Lines {
    fn open(schema: &Schema) -> Result<Lines, Failure> {
        if !std::io::stdin().is_terminal() {
            return Ok(Lines::Plain);
        }
        let broken = |error: ReadlineError| {
            Failure::environment(format!("cannot read from the terminal: {error}"))
        };
        let mut editor = Editor::new().map_err(broken)?;
        editor.set_helper(Some(Words::of(schema)));
        let history = choose_base_strategy()
            .ok()
            .map(|folders| folders.cache_dir().join("milvus-difftest").join("shell-history"));
        if let Some(path) = &history
            && path.exists()
        {
            editor.load_history(path).map_err(broken)?;
        }
        Ok(Lines::Editor(Box::new(editor), history))
    }

    fn is_interactive(&self) -> bool {
        matches!(self, Lines::Editor(..))
    }

    fn next(&mut self) -> Result<Option<String>, Failure> {
        let Lines::Editor(editor, history) = self else {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line).map_err(Failure::environment)?;
            return Ok((read > 0).then_some(line));
        };
        let broken = |error: ReadlineError| {
            Failure::environment(format!("cannot read from the terminal: {error}"))
        };
        match editor.readline("> ") {
            Ok(line) => {
                editor.add_history_entry(&line).map_err(broken)?;
                if let Some(path) = history {
                    if let Some(folder) = path.parent() {
                        std::fs::create_dir_all(folder).map_err(Failure::environment)?;
                    }
                    editor.append_history(path).map_err(broken)?;
                }
                Ok(Some(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Some(String::new())),
            Err(ReadlineError::Eof) => Ok(None),
            Err(error) => Err(broken(error)),
        }
    }
}

/// What can be completed.
struct Words(Vec<String>);

impl Words {
    fn of(schema: &Schema) -> Words {
        let fields = schema.fields.iter().map(|field| field.name.clone());
        let words = [
            "and",
            "or",
            "not",
            "in",
            "like",
            "is null",
            "is not null",
            "exists",
            "true",
            "false",
            "array_contains(",
            "array_contains_all(",
            "array_contains_any(",
            "array_length(",
            "json_contains(",
            "json_contains_all(",
            "json_contains_any(",
            "\\compare",
            "\\count",
            "\\sample",
            "\\filters",
            "\\explain",
            "\\fields",
            "\\help",
            "\\quit",
        ];
        Words(fields.chain(words.map(str::to_owned)).collect())
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..at).unwrap_or_default();
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '\\';
        let begin = before
            .rfind(|c| !is_word(c))
            .map_or(0, |last| last + before[last..].chars().next().map_or(0, char::len_utf8));
        let word = before.get(begin..).unwrap_or_default();
        let fitting = self.0.iter().filter(|known| !word.is_empty() && known.starts_with(word));
        let pair = |known: &String| Pair { display: known.clone(), replacement: known.clone() };
        Ok((begin, fitting.map(pair).collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Borrowed(hint)
    }
}

impl Validator for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{DataType, Field, Scalar};
    use rustyline::history::MemHistory;

    #[test]
    fn words_are_completed_where_they_stand() {
        let fields = vec![
            Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
            Field::new("price", DataType::Scalar(Scalar::Double)),
        ];
        let words = Words::of(&Schema { fields, dynamic: false });
        let history = MemHistory::new();
        let complete = |line: &str| {
            let (at, found) = words.complete(line, line.len(), &Context::new(&history)).unwrap();
            (at, found.into_iter().map(|pair| pair.replacement).collect::<Vec<_>>())
        };
        assert_eq!(complete("id == 1 && pri"), (11, vec!["price".to_owned()]));
        assert_eq!(complete("é\u{a0}pri").1, ["price"]);
        assert_eq!(complete("\\co").1, ["\\compare", "\\count"]);
        assert_eq!(complete("id == ").1, Vec::<String>::new());
    }
}
