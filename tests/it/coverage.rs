//! What generated cases reach of the filter language.

use std::collections::{BTreeMap, BTreeSet};

use milvus_difftest::case::{Case, Check};
use milvus_difftest::filter::grammar::{Cell, Construct, Coverage, cells};
use milvus_difftest::filter::{Expr, Filter, Semantics, Spelling, Truth, check, evaluate};
use milvus_difftest::generate::{Options, case, case_with};
use milvus_difftest::milvus::Dialect;
use milvus_difftest::schema::DataType;
use serde_json::Value as Json;

use crate::support::{Sandbox, run};

fn dialects() -> Vec<Dialect> {
    let mut all = Dialect::all().expect("they are readable");
    all.push(Dialect::everything());
    all
}

fn touched(case: &Case) -> BTreeMap<Cell, u64> {
    let mut touched = BTreeMap::new();
    let checks = case.checks.iter().filter(|check| !matches!(check, Check::Refused(_)));
    for filter in checks.filter_map(Check::spelled) {
        for cell in cells(&case.schema, filter) {
            *touched.entry(cell).or_default() += 1;
        }
    }
    touched
}

/// Whatever an engine has is asked of it, and nothing else.
#[test]
fn cases_reach_every_cell_of_their_dialect_and_no_other() {
    for dialect in dialects() {
        let mut coverage = Coverage::of(dialect.cells());
        for number in 0..1000 {
            if number >= 100 && coverage.missed().next().is_none() {
                break;
            }
            let touched = touched(&case(1, number, &dialect));
            let outside: Vec<String> = touched
                .keys()
                .filter(|cell| !dialect.accepts(cell))
                .map(ToString::to_string)
                .collect();
            assert_eq!(outside, Vec::<String>::new(), "{} {number}", dialect.name);
            coverage.add(&touched);
        }
        let missed: Vec<String> = coverage.missed().map(ToString::to_string).collect();
        assert_eq!(missed, Vec::<String>::new(), "{}", dialect.name);
        assert!(coverage.wanted().len() > 300, "{}", dialect.name);
    }
}

#[test]
fn filters_are_typed_selective_and_defined() {
    for dialect in dialects() {
        let (mut filters, mut selective, mut undefined, mut plain) = (0, 0, 0, 0);
        for number in 0..150 {
            let case = case(2, number, &dialect);
            case.validate().unwrap();
            let rows = case.rows();
            for check_ in case.checks.iter().filter(|check| !matches!(check, Check::Refused(_))) {
                let Some(filter) = check_.spelled() else { continue };
                check(&case.schema, &filter.expr).unwrap();
                filters += 1;
                plain += usize::from(filter.spelling == Spelling::default());
                let truth = |row| evaluate(&filter.expr, &case.schema, row, Semantics::canonical());
                let truths: Result<Vec<Truth>, _> = rows.values().map(truth).collect();
                let Ok(truths) = truths else {
                    undefined += 1;
                    continue;
                };
                let matching = truths.iter().filter(|truth| **truth == Truth::True).count();
                selective += usize::from(0 < matching && matching < rows.len());
            }
        }
        let name = &dialect.name;
        println!(
            "{name}: {filters} filters, {selective} selective, {undefined} undefined, {plain} plain"
        );
        assert!(selective * 10 > filters * 6, "{name}: {selective} of {filters} are selective");
        assert!(undefined * 50 < filters, "{name}: {undefined} of {filters} are undefined");
        assert!(plain * 10 > filters * 6, "{name}: {plain} of {filters} are plain");
    }
}

/// Arrays of structs are asked often enough to tell something, about one member and about several.
#[test]
fn structs_are_asked_in_every_way() {
    let dialect = Dialect::load("simulated").unwrap();
    let mut asked: BTreeMap<Construct, (u64, u64)> = BTreeMap::new();
    let (mut terms, mut joined) = (0, 0);
    let structs =
        |case: &Case| case.schema.fields.iter().any(|f| f.data_type == DataType::StructArray);
    for case in (0..400).map(|number| case(5, number, &dialect)).filter(structs) {
        let rows = case.rows();
        for check_ in case.checks.iter().filter(|check| !matches!(check, Check::Refused(_))) {
            let Some(Filter { expr, .. }) = check_.spelled() else { continue };
            check(&case.schema, expr).unwrap();
            for part in parts(expr) {
                let Expr::Elements { predicate, .. } = part else { continue };
                terms += 1;
                joined +=
                    u32::from(matches!(&**predicate, Expr::Binary { op, .. } if op.is_logical()));
                let truth = |row| evaluate(part, &case.schema, row, Semantics::canonical());
                let truths: Vec<_> = rows.values().filter_map(|row| truth(row).ok()).collect();
                let matching = truths.iter().filter(|truth| **truth == Truth::True).count();
                let selective = 0 < matching && matching < rows.len();
                let construct = cells(&case.schema, &Filter::from(part.clone()))
                    .into_iter()
                    .map(|cell| cell.construct)
                    .find(|construct| Construct::ELEMENTS.contains(construct))
                    .unwrap();
                let (times, tells) = asked.entry(construct).or_default();
                *times += 1;
                *tells += u64::from(selective);
            }
        }
    }
    println!("{terms} predicates on structs, {joined} of them joined: {asked:?}");
    assert_eq!(asked.len(), Construct::ELEMENTS.len(), "{asked:?}");
    for (construct, (times, tells)) in asked {
        assert!(times > 20, "{construct}: {times}");
        // Of the elements that an `element_filter` matches, nothing is known of rows.
        assert!(
            construct == Construct::ElementFilter || tells * 3 > times,
            "{construct}: {tells} of {times} are selective"
        );
    }
    assert!(joined * 10 > terms, "{joined} of {terms}");
}

fn parts(expr: &Expr) -> Vec<&Expr> {
    let mut all = Vec::new();
    expr.for_each_node(&mut |node| all.push(node));
    all
}

/// Beyond the dialect, filters have what it lacks; all else stays as it was.
#[test]
fn beyond_the_dialect_is_what_it_lacks() {
    let dialect = Dialect::load("milvus-lite-2.5").unwrap();
    let options = Options { beyond_dialect: true, ..Options::default() };
    let mut lacking = BTreeSet::new();
    let mut refused = 0;
    for number in 0..150 {
        let case = case_with(3, number, &dialect, &options).unwrap();
        case.validate().unwrap();
        for check in &case.checks {
            match check {
                Check::QueryOrRefusal(filter) => {
                    let beyond = cells(&case.schema, filter).into_iter();
                    lacking.extend(
                        beyond.filter(|cell| !dialect.accepts(cell)).map(|cell| cell.construct),
                    );
                }
                Check::Refused(_) => refused += 1,
                other => {
                    let Some(filter) = other.spelled() else { continue };
                    assert!(cells(&case.schema, filter).iter().all(|cell| dialect.accepts(cell)));
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
    for construct in [Construct::Negation, Construct::Exists, Construct::BareBool] {
        assert!(lacking.contains(&construct), "{construct}");
    }
    assert!(lacking.len() > 40, "{lacking:?}");
}

#[test]
fn filters_nest_as_deep_as_asked() {
    let dialect = Dialect::everything();
    let deepest = |depth| {
        let options = Options { depth, ..Options::default() };
        let all =
            (0..40).flat_map(|number| case_with(4, number, &dialect, &options).unwrap().checks);
        let nesting = |text: String| {
            text.chars()
                .scan(0_usize, |open, c| {
                    match c {
                        '(' => *open += 1,
                        ')' => *open = open.saturating_sub(1),
                        _ => {}
                    }
                    Some(*open)
                })
                .max()
                .unwrap_or(0)
        };
        all.filter_map(|check| Some(nesting(check.spelled()?.to_string()))).max().unwrap_or(0)
    };
    assert!((30..60).contains(&deepest(40)), "{}", deepest(40));
    assert!(deepest(100) > 80, "{}", deepest(100));
}

#[test]
fn the_command_prints_tables_and_takes_a_file() {
    let sandbox = Sandbox::new();
    let text = run(sandbox.command(&["coverage", "--cases", "2"])).expect(0).stdout;
    assert!(text.contains("range-ascending") && text.contains("cells of the dialect milvus-3"));
    let lite =
        ["coverage", "--engine", "milvus-lite-3.2.2", "--cases", "2", "--format", "markdown"];
    let text = run(sandbox.command(&lite)).expect(0).stdout;
    assert!(text.contains("| Columns | BOOL | INT8 |") && !text.contains("| range-ascending | 1"));

    sandbox.write(
        "mine.toml",
        "[[dialect]]\nname = 'mine'\nschema = ['nullable']\nlacks = ['like']\n",
    );
    let mine = ["coverage", "--dialect", "mine.toml", "--cases", "2", "--format", "json"];
    let json: Json = serde_json::from_str(&run(sandbox.command(&mine)).expect(0).stdout).unwrap();
    let constructs = json["cells"].as_array().unwrap().iter().map(|cell| &cell["construct"]);
    assert!(constructs.clone().any(|construct| construct == "exists"));
    assert!(!constructs.clone().any(|construct| construct == "like-prefix"));

    sandbox.write("mine.toml", "[[dialect]]\nname = 'mine'\nlacks = [\n  'lik',\n]\n");
    let run = run(sandbox.command(&mine)).expect(2);
    assert!(run.error().contains("mine.toml is wrong: line 4: there is no construct 'lik'"));
}
