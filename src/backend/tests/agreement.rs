//! Zero false alarms begin here: two independent implementations of one meaning, compared on random
//! filters over the whole language, on every row and in all three truth values.

use std::collections::{BTreeMap, BTreeSet};

use super::fixture::{Database, clickhouse, duckdb};
use super::random::Random;
use crate::backend::BackendError;
use crate::backend::sql::lower;
use crate::filter::check::{Place, resolve};
use crate::filter::operator::{OpClass, Quantifier};
use crate::filter::{
    BinaryOp, Expr, FieldPath, Function, Literal, Semantics, Switch, Truth, UnaryOp, check,
    evaluate,
};
use crate::schema::{Scalar, Schema};
use crate::value::Row;

const ROWS: i64 = 40;
/// Conditions of one statement. More are slower: DuckDB plans them all together.
const BATCH: usize = 50;
const BATCHES_PER_TABLE: usize = 8;

/// Random tables in a database, and what it says to random filters.
struct Bench {
    backend: Box<dyn Database>,
    random: Random,
    batches: usize,
}

/// A filter, and what SQL makes of it on each row; `None` if it cannot say.
struct Answer {
    filter: Expr,
    truths: Option<Vec<Truth>>,
}

impl Bench {
    fn new(backend: Box<dyn Database>, seed: u64) -> Bench {
        Bench { backend, random: Random::new(seed), batches: 0 }
    }

    /// The next filters, answered.
    async fn answers(&mut self) -> Vec<Answer> {
        if self.batches.is_multiple_of(BATCHES_PER_TABLE) {
            self.backend.drop_table(&self.random.table).await.unwrap();
            self.random.next_table(ROWS);
            self.backend.create_table(&self.random.table).await.unwrap();
            self.backend.upsert(&self.random.table, &self.random.rows).await.unwrap();
        }
        self.batches += 1;
        let filters: Vec<Expr> = (0..BATCH).map(|_| self.random.filter()).collect();
        let lowered: Vec<Option<String>> =
            filters.iter().map(|filter| self.lowered(filter)).collect();
        let conditions: Vec<String> = lowered.iter().flatten().cloned().collect();
        let mut columns = match self.truths(&conditions).await {
            Ok(columns) => columns.into_iter(),
            Err(error) => panic!("{}", self.failing(&conditions).await.unwrap_or(error)),
        };
        let answered = filters.into_iter().zip(lowered).map(|(filter, lowered)| {
            let truths = lowered.map(|_| columns.next().unwrap());
            Answer { filter, truths }
        });
        answered.collect()
    }

    fn lowered(&self, filter: &Expr) -> Option<String> {
        match lower(self.backend.dialect(), &self.random.table.schema, filter) {
            Ok(condition) => Some(condition),
            Err(BackendError::Inexpressible { .. }) => None,
            Err(error) => panic!("{filter}: {error}"),
        }
    }

    /// For each condition, what it is on each row.
    async fn truths(&self, conditions: &[String]) -> Result<Vec<Vec<Truth>>, BackendError> {
        let mut rows = self.backend.truths(&self.random.table, conditions).await?;
        assert_eq!(rows.len(), self.random.rows.len());
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        let truth = |truth: Option<bool>| truth.map_or(Truth::Unknown, Truth::from);
        let column = |i: usize| rows.iter().map(|(_, row)| truth(row[i])).collect();
        Ok((0..conditions.len()).map(column).collect())
    }

    /// The error of the shortest condition that fails alone.
    async fn failing(&self, conditions: &[String]) -> Option<BackendError> {
        let mut conditions: Vec<_> = conditions.iter().collect();
        conditions.sort_by_key(|condition| condition.len());
        for one in conditions {
            if let Err(error) = self.truths(std::slice::from_ref(one)).await {
                return Some(error);
            }
        }
        None
    }

    fn model(&self, filter: &Expr, row: &Row, semantics: Semantics) -> Option<Truth> {
        evaluate(filter, &self.random.table.schema, row, semantics).ok()
    }

    /// The rows on which the model contradicts SQL.
    fn conflicts(&self, filter: &Expr, truths: &[Truth], semantics: Semantics) -> Vec<usize> {
        let rows = self.random.rows.iter().zip(truths).enumerate();
        let differing = rows.filter(|(_, (row, truth))| {
            self.model(filter, row, semantics).is_some_and(|model| model != **truth)
        });
        differing.map(|(index, _)| index).collect()
    }

    /// The smallest part of a filter that conflicts on its own, explained.
    async fn explained(&self, filter: &Expr) -> String {
        let mut parts = Vec::new();
        filter.for_each_node(&mut |part| {
            if check(&self.random.table.schema, part).is_ok() {
                parts.push(part);
            }
        });
        parts.sort_by_key(|part| part.nodes());
        for part in parts {
            let Some(sql) = self.lowered(part) else { continue };
            let truths = self.truths(std::slice::from_ref(&sql)).await.unwrap().remove(0);
            let conflicts = self.conflicts(part, &truths, Semantics::canonical());
            let Some(index) = conflicts.first() else { continue };
            let row = &self.random.rows[*index];
            let mut shown = row.clone();
            let mut roots = BTreeSet::new();
            part.for_each_path(&mut |path| {
                roots.insert(path.root.clone());
            });
            shown.fields.retain(|name, _| roots.contains(name));
            return format!(
                "{part}\n  {sql}\n  {}\n  the model: {:?}, SQL: {:?}",
                shown.to_json(),
                self.model(part, row, Semantics::canonical()),
                truths[*index]
            );
        }
        format!("{filter}: as a whole only")
    }
}

#[tokio::test]
async fn the_model_and_duckdb_agree() {
    agree(duckdb(), 20_000).await;
}

#[tokio::test]
async fn the_model_and_clickhouse_agree() {
    // It takes four times as long for each.
    agree(clickhouse().await, 6_000).await;
}

async fn agree(backend: Box<dyn Database>, filters: usize) {
    let wanted = match std::env::var("MILVUS_DIFFTEST_AGREEMENT") {
        Ok(text) => text.parse().expect("MILVUS_DIFFTEST_AGREEMENT is a number of filters"),
        Err(_) => filters,
    };
    let started = std::time::Instant::now();
    let name = backend.name();
    let mut bench = Bench::new(backend, 20_240_117);
    let (mut compared, mut selective, mut inexpressible) = (0, 0, 0);
    let (mut pairs, mut undefined_pairs, mut undefined_filters) = (0_usize, 0_usize, 0);
    let mut constructs: BTreeMap<String, usize> = BTreeMap::new();
    let mut conflicts: Vec<String> = Vec::new();
    while compared < wanted && conflicts.len() < 10 {
        for Answer { filter, truths } in bench.answers().await {
            let Some(truths) = truths else {
                inexpressible += 1;
                continue;
            };
            let model: Vec<Option<Truth>> = bench
                .random
                .rows
                .iter()
                .map(|row| bench.model(&filter, row, Semantics::canonical()))
                .collect();
            compared += 1;
            let undefined = model.iter().filter(|truth| truth.is_none()).count();
            pairs += model.len();
            undefined_pairs += undefined;
            undefined_filters += usize::from(undefined > 0);
            let differs = |(model, sql): (&Option<Truth>, &Truth)| model.is_some_and(|m| m != *sql);
            if model.iter().zip(&truths).any(differs) {
                conflicts.push(bench.explained(&filter).await);
            }
            let found = model.iter().filter(|truth| **truth == Some(Truth::True)).count();
            let tells = 0 < found && found + undefined < model.len();
            selective += usize::from(tells);
            // What never tells rows apart proves nothing; what has one answer by nature is asked too.
            if undefined < model.len() {
                for construct in constructs_of(&bench.random.table.schema, &filter) {
                    *constructs.entry(construct).or_default() += 1;
                }
            }
        }
    }
    println!(
        "{name}: {compared} filters on {ROWS} rows in {:.1?}: {selective} selective, {inexpressible} \
         inexpressible, {undefined_filters} undefined on some row; {undefined_pairs} of {pairs} \
         answers undefined; {} constructs",
        started.elapsed(),
        constructs.len()
    );
    conflicts.sort_by_key(String::len);
    assert!(
        conflicts.is_empty(),
        "{name}: {} conflicts\n{}",
        conflicts.len(),
        conflicts.join("\n\n")
    );
    assert!(selective * 2 > compared, "{selective} of {compared} filters are selective");
    assert!(undefined_pairs * 20 < pairs, "{undefined_pairs} of {pairs} answers are undefined");
    assert!(inexpressible > 0 && inexpressible * 50 < compared, "{inexpressible} inexpressible");
    let missing: Vec<String> = every_construct()
        .into_iter()
        .filter(|construct| constructs.get(construct).is_none_or(|count| *count < 3))
        .collect();
    assert!(missing.is_empty(), "hardly ever asked: {missing:#?}\nasked: {constructs:#?}");
}

/// The agreement would be worthless if a rule could be broken without breaking it.
#[tokio::test]
async fn every_rule_of_reading_is_seen() {
    let mut bench = Bench::new(duckdb(), 7);
    let mut left: BTreeSet<Switch> =
        Switch::ALL.iter().copied().filter(|switch| switch.changes_truth()).collect();
    // SQL has no such predicates.
    left.remove(&Switch::MatchAllOfNoneIsFalse);
    left.remove(&Switch::NullTextMatchIsFalse);
    left.remove(&Switch::NullSpatialIsFalse);
    left.remove(&Switch::SpatialBoundaryIsInside);
    left.remove(&Switch::SpatialDistanceIsPlanar);
    for _ in 0..400 {
        for Answer { filter, truths } in bench.answers().await {
            let Some(truths) = truths else { continue };
            left.retain(|switch| {
                let turned = Semantics::canonical().with(*switch);
                bench.conflicts(&filter, &truths, turned).is_empty()
            });
        }
        if left.is_empty() {
            return;
        }
    }
    panic!("no filter tells these from the canonical rules: {left:?}");
}

/// What a filter is about, in words.
fn constructs_of(schema: &Schema, filter: &Expr) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    filter.for_each_node(&mut |node| {
        let mut add = |construct: String| {
            found.insert(construct);
        };
        let operand = |expr: &Expr| match expr {
            Expr::Field(path) => place(schema, path),
            Expr::Call { .. } => "a length".to_owned(),
            Expr::Literal(_) => "a constant".to_owned(),
            _ => "arithmetic".to_owned(),
        };
        match node {
            Expr::Literal(Literal::Bool(_)) => add("true or false".to_owned()),
            Expr::Not(_) => add("not".to_owned()),
            Expr::Unary { op, operand: inner } => {
                add(format!("unary {} on {}", op.symbol(), operand(inner)));
            }
            Expr::Binary { op, left, right } => {
                add(format!("operator {}", op.symbol()));
                match op.class() {
                    OpClass::Comparison => {
                        for (side, other) in [(left, right), (right, left)] {
                            if let Expr::Literal(Literal::List(_)) = **other {
                                add(format!("array equality on {}", operand(side)));
                            } else {
                                add(format!("{} compared", operand(side)));
                            }
                        }
                    }
                    OpClass::Arithmetic | OpClass::Bitwise => {
                        add(format!("arithmetic on {}", operand(left)));
                        add(format!("arithmetic on {}", operand(right)));
                    }
                    OpClass::Logical => {}
                }
            }
            Expr::Range { operand, descending, .. } => {
                let order = if *descending { "descending" } else { "ascending" };
                add(format!("{order} range on {}", place(schema, operand)));
            }
            Expr::In { operand: inner, list, .. } => {
                add(format!("in on {}", operand(inner)));
                match list.len() {
                    0 => add("in an empty list".to_owned()),
                    100.. => add("in a long list".to_owned()),
                    _ => {}
                }
            }
            Expr::Like { operand: inner, .. } => add(format!("like on {}", operand(inner))),
            Expr::IsNull { operand, .. } => add(format!("is null on {}", place(schema, operand))),
            Expr::Exists(path) => add(format!("exists on {}", place(schema, path))),
            Expr::Call { function, operand, arguments } => {
                add(format!("{} on {}", function.name(), place(schema, operand)));
                match arguments.as_slice() {
                    [Literal::List(items)] if items.is_empty() => {
                        add(format!("{} of nothing", function.name()));
                    }
                    [argument] => {
                        let items = match function.quantifier() {
                            Some(Quantifier::One) => std::slice::from_ref(argument),
                            _ => argument.items(),
                        };
                        if items.iter().any(|item| matches!(item, Literal::List(_))) {
                            add(format!("{} of arrays", function.name()));
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    });
    found
}

fn place(schema: &Schema, path: &FieldPath) -> String {
    match resolve(schema, path).unwrap() {
        Place::Column(_, scalar) => format!("{scalar:?}"),
        Place::Array(_, scalar) => format!("array of {scalar:?}"),
        Place::Element(_, scalar, _) => format!("element of {scalar:?}"),
        Place::Geometry(_) => "a geometry".to_owned(),
        Place::Structs(_) => "structs".to_owned(),
        Place::Timestamp(_) => "a time".to_owned(),
        Place::JsonColumn(_) => "a document".to_owned(),
        Place::Json(Some(_), _) => "JSON".to_owned(),
        Place::Json(None, _) => "a dynamic key".to_owned(),
    }
}

fn every_construct() -> Vec<String> {
    let mut all = vec![
        "true or false".to_owned(),
        "not".to_owned(),
        "in an empty list".to_owned(),
        "in a long list".to_owned(),
        "is null on a document".to_owned(),
        "arithmetic on arithmetic".to_owned(),
        "arithmetic on a length".to_owned(),
        "a constant compared".to_owned(),
        "arithmetic compared".to_owned(),
    ];
    let mut add = |text: String| all.push(text);
    BinaryOp::ALL.iter().for_each(|op| add(format!("operator {}", op.symbol())));
    for op in [UnaryOp::Negate, UnaryOp::BitNot] {
        add(format!("unary {} on Int8", op.symbol()));
        add(format!("unary {} on arithmetic", op.symbol()));
    }
    let arrays =
        [Scalar::Bool, Scalar::Int8, Scalar::Int64, Scalar::Float, Scalar::Double, Scalar::VarChar];
    let columns = Scalar::ALL.iter().map(|scalar| (*scalar, format!("{scalar:?}")));
    let elements = arrays.iter().map(|scalar| (*scalar, format!("element of {scalar:?}")));
    for (scalar, place) in columns.chain(elements) {
        add(format!("{place} compared"));
        add(format!("in on {place}"));
        match scalar {
            Scalar::Bool => continue,
            Scalar::VarChar => add(format!("like on {place}")),
            _ => add(format!("arithmetic on {place}")),
        }
        add(format!("ascending range on {place}"));
        add(format!("descending range on {place}"));
    }
    for scalar in arrays {
        let place = format!("array of {scalar:?}");
        add(format!("is null on {place}"));
        add(format!("array equality on {place}"));
        Function::ALL[..4].iter().for_each(|f| add(format!("{} on {place}", f.name())));
    }
    for place in ["JSON", "a dynamic key"] {
        for test in
            ["in", "like", "exists", "is null", "arithmetic", "array equality", "ascending range"]
        {
            add(format!("{test} on {place}"));
        }
        add(format!("{place} compared"));
        add(format!("array_length on {place}"));
        Function::ALL[4..7].iter().for_each(|f| add(format!("{} on {place}", f.name())));
    }
    for function in &Function::ALL[4..7] {
        add(format!("{} of arrays", function.name()));
    }
    for all_or_any in ["all", "any"] {
        add(format!("array_contains_{all_or_any} of nothing"));
        add(format!("json_contains_{all_or_any} of nothing"));
    }
    add("a time compared".to_owned());
    add("arithmetic on a time".to_owned());
    add("is null on a time".to_owned());
    all
}
