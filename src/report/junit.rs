//! JUnit XML, as continuous integration reads it: a suite for each engine, a test for each case of a
//! corpus, for each oracle that judged anything, and one for the run itself.
//!
//! What was not checked is never reported as passed: an oracle that came to no conclusion is
//! skipped, and a run that proves nothing is an error.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event as Xml};

use super::finding::plain;
use super::gate;
use super::run::{End, Run, Side, counted};
use crate::campaign::{Corpus, Replayed, Standing};
use crate::finding::Finding;
use crate::oracle::Oracle;
use crate::verdict::Tally;

/// A test.
struct Test {
    name: String,
    outcome: Outcome,
    /// Beside the outcome, for people.
    output: Option<String>,
}

enum Outcome {
    Passed,
    Skipped { why: String },
    Failed { kind: String, message: String, text: String },
    Broken { kind: &'static str, message: String, text: String },
}

/// The document.
///
/// # Errors
/// None in memory; those of the XML writer's interface.
pub fn junit(run: &Run) -> io::Result<String> {
    let suites: Vec<(&Side, Vec<Test>)> = run.sides.iter().map(|s| (s, tests(s))).collect();
    let all: Vec<&Test> = suites.iter().flat_map(|(_, tests)| tests).collect();
    let mut bytes = Vec::new();
    let mut writer = Writer::new_with_indent(&mut bytes, b' ', 2);
    writer.write_event(Xml::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let [tests, failures, errors, _] = counts(&all);
    writer
        .create_element("testsuites")
        .with_attributes([
            ("name", "milvus-difftest"),
            ("tests", &tests),
            ("failures", &failures),
            ("errors", &errors),
            ("time", &format!("{:.3}", run.seconds)),
        ])
        .write_inner_content(|writer| {
            suites.iter().try_for_each(|(side, tests)| suite(writer, side, tests))
        })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned() + "\n")
}

/// Tests, failures, errors, skipped.
fn counts(tests: &[&Test]) -> [String; 4] {
    let count = |which: fn(&Outcome) -> bool| {
        tests.iter().filter(|test| which(&test.outcome)).count().to_string()
    };
    [
        tests.len().to_string(),
        count(|outcome| matches!(outcome, Outcome::Failed { .. })),
        count(|outcome| matches!(outcome, Outcome::Broken { .. })),
        count(|outcome| matches!(outcome, Outcome::Skipped { .. })),
    ]
}

fn suite<W: io::Write>(writer: &mut Writer<W>, side: &Side, tests: &[Test]) -> io::Result<()> {
    let summary = &side.summary;
    let name = legible(&side.target);
    let [all, failures, errors, skipped] = counts(&tests.iter().collect::<Vec<_>>());
    let properties = [
        ("engine", legible(&summary.engine)),
        ("references", legible(&summary.backend)),
        ("dialect", legible(&summary.dialect)),
        ("seed", summary.seed.to_string()),
        ("cases", summary.cases.to_string()),
        ("checks", summary.verdicts.total().to_string()),
    ];
    writer
        .create_element("testsuite")
        .with_attributes([
            ("name", name.as_str()),
            ("tests", &all),
            ("failures", &failures),
            ("errors", &errors),
            ("skipped", &skipped),
            ("time", &format!("{:.3}", summary.elapsed.as_secs_f64())),
        ])
        .write_inner_content(|writer| {
            writer.create_element("properties").write_inner_content(|writer| {
                properties.iter().try_for_each(|(name, value)| {
                    let property = writer.create_element("property");
                    property
                        .with_attributes([("name", *name), ("value", value)])
                        .write_empty()
                        .map(|_| ())
                })
            })?;
            tests.iter().try_for_each(|test| case(writer, &name, test))
        })?;
    Ok(())
}

fn case<W: io::Write>(writer: &mut Writer<W>, suite: &str, test: &Test) -> io::Result<()> {
    let element = writer.create_element("testcase").with_attributes([
        ("name", legible(&test.name).as_str()),
        ("classname", &format!("milvus-difftest.{suite}")),
    ]);
    element.write_inner_content(|writer| {
        match &test.outcome {
            Outcome::Passed => {}
            Outcome::Skipped { why } => {
                let skipped = writer.create_element("skipped");
                skipped.with_attribute(("message", legible(why).as_str())).write_empty()?;
            }
            Outcome::Failed { kind, message, text } => {
                complaint(writer, "failure", kind, message, text)?;
            }
            Outcome::Broken { kind, message, text } => {
                complaint(writer, "error", kind, message, text)?;
            }
        }
        if let Some(output) = &test.output {
            let text = legible(output);
            writer.create_element("system-out").write_text_content(BytesText::new(&text))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn complaint<W: io::Write>(
    writer: &mut Writer<W>,
    element: &str,
    kind: &str,
    message: &str,
    text: &str,
) -> io::Result<()> {
    let (message, text) = (legible(message), legible(text));
    writer
        .create_element(element)
        .with_attributes([("message", message.as_str()), ("type", kind)])
        .write_text_content(BytesText::new(&text))?;
    Ok(())
}

fn tests(side: &Side) -> Vec<Test> {
    let corpus = side.summary.corpus.iter();
    let corpus = corpus.flat_map(|corpus| corpus.replayed.iter().map(|case| saved(case, corpus)));
    let judged = side.summary.oracles.iter().filter(|(_, tally)| tally.total() > 0);
    let judged = judged.map(|(oracle, tally)| judgement(side, *oracle, tally));
    corpus.chain(judged).chain([whole(side)]).collect()
}

/// What came of a case of a corpus.
fn saved(replayed: &Replayed, corpus: &Corpus) -> Test {
    let message = gate::sentence(replayed);
    let lines = [
        Some(format!("expected:  {}", gate::expected(replayed))),
        replayed.asked.as_ref().map(|asked| format!("asked:     {asked}")),
        Some(format!("came out:  {}, {}", replayed.standing.word(), gate::answer(replayed))),
        replayed.divergence.as_ref().map(|divergence| format!("actual:    {}", divergence.actual)),
        replayed.file.as_ref().map(|file| format!("kept in:   {}", file.display())),
    ];
    let text = lines.into_iter().flatten().collect::<Vec<_>>().join("\n") + "\n";
    let mut output = None;
    let outcome = match replayed.standing {
        _ if corpus.fails(replayed) => Outcome::Failed {
            kind: match &replayed.divergence {
                Some(divergence) => divergence.class.to_string(),
                None => "Fixed".to_owned(),
            },
            message,
            text,
        },
        Standing::AsExpected | Standing::Fixed | Standing::Changed => {
            output = Some(text);
            Outcome::Passed
        }
        Standing::Conflict => Outcome::Broken { kind: "ReferenceConflict", message, text },
        Standing::Inconclusive | Standing::Unsupported => {
            Outcome::Skipped { why: format!("{}: {message}", replayed.standing.word()) }
        }
    };
    Test { name: format!("corpus: {}", replayed.name), outcome, output }
}

/// What an oracle came to.
fn judgement(side: &Side, oracle: Oracle, tally: &Tally) -> Test {
    let found: Vec<&Finding> =
        side.summary.findings.iter().filter(|finding| finding.oracle == oracle).collect();
    let outcome = match found.as_slice() {
        [] if tally.pass + tally.known == 0 && tally.divergence == 0 => {
            Outcome::Skipped { why: why_inconclusive(side, oracle, tally) }
        }
        // Which oracle the unexplored ones are of is not known.
        [] if tally.divergence > 0 && (side.summary.unexplored > 0 || !side.finished) => {
            let message = format!(
                "{} that could not all be looked into",
                counted(tally.divergence, "divergence", "divergences")
            );
            Outcome::Failed { kind: "Unexplored".to_owned(), text: message.clone(), message }
        }
        // All of them went away while they were looked into.
        [] if tally.pass + tally.known == 0 => Outcome::Skipped {
            why: format!("{} wrong answers were not given again", tally.divergence),
        },
        [] => Outcome::Passed,
        [first, rest @ ..] => Outcome::Failed {
            kind: first.divergence.class.to_string(),
            message: match rest {
                [] => plain(first),
                rest => format!("{} (and {} more)", plain(first), rest.len()),
            },
            text: found.iter().map(|finding| described(side, finding)).collect(),
        },
    };
    let output = format!(
        "{} pass, {} diverge, {} known, {} inconclusive, {} unsupported",
        tally.pass, tally.divergence, tally.known, tally.inconclusive, tally.unsupported
    );
    Test { name: oracle.name().to_owned(), outcome, output: Some(output) }
}

fn why_inconclusive(side: &Side, oracle: Oracle, tally: &Tally) -> String {
    let doubts = side.doubts.get(&oracle).into_iter().flatten();
    let mut reasons: Vec<String> =
        doubts.map(|(doubt, count)| format!("{count} inconclusive: {doubt}")).collect();
    if tally.unsupported > 0 {
        reasons.push(format!("{} unsupported by the engine", tally.unsupported));
    }
    match reasons.is_empty() {
        true => format!("{} inconclusive", tally.inconclusive),
        false => reasons.join("; "),
    }
}

fn described(side: &Side, finding: &Finding) -> String {
    let divergence = &finding.divergence;
    let filter = finding.filter_text();
    let mut lines = vec![plain(finding)];
    lines.extend((!filter.is_empty()).then(|| format!("filter:    {filter}")));
    lines.push(format!("expected:  {}", divergence.expected));
    lines.push(format!("actual:    {}", divergence.actual));
    lines.push(format!("seen:      {}", counted(finding.count, "time", "times")));
    let folder = side.folders.get(&finding.shape);
    lines.extend(folder.map(|folder| format!("kept in:   {}", folder.display())));
    lines.join("\n") + "\n\n"
}

/// Whether the run itself went to its end and proves anything.
fn whole(side: &Side) -> Test {
    let summary = &side.summary;
    let text = || summary.error.clone().unwrap_or_default();
    let broken = |kind| Outcome::Broken { kind, message: side.sentence(), text: text() };
    let outcome = match side.end() {
        End::Failed => broken("Environment"),
        End::Interrupted => broken("Interrupted"),
        End::Unfinished => broken("Unfinished"),
        End::Conflict => broken("ReferenceConflict"),
        _ if summary.is_vacuous() => {
            Outcome::Broken { kind: "Vacuous", message: side.proves_nothing(), text: text() }
        }
        End::Findings if summary.unexplored > 0 => Outcome::Failed {
            kind: "Unexplored".to_owned(),
            message: side.sentence(),
            text: String::new(),
        },
        End::Findings | End::Vacuous | End::Clean => Outcome::Passed,
    };
    let text = super::terminal::table(summary, &side.folders);
    Test { name: "the run".to_owned(), outcome, output: Some(text) }
}

/// Without what XML 1.0 has no place for, even escaped; the replacement shows that it was there.
fn legible(text: &str) -> String {
    let legible = |c: char| match c {
        '\t' | '\n' | '\r' => c,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(legible).collect()
}
