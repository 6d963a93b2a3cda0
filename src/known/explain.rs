//! The smallest set of known issues under which the model answers exactly as the engine did.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{Cause, Issue, KnownIssues};
use super::predict::{Prediction, predict};
use crate::case::{Case, Check, Operation, Relation};
use crate::compare::{Change, Diff};
use crate::filter::{Expr, Filter, Semantics, Switch, matching};
use crate::oracle::paging::most_pages;
use crate::triage::check_shape as shape;
use crate::value::{Key, Row};
use crate::verdict::{Actual, Answer, Class, Divergence, Way};

/// So many issues are tried in every combination.
const MOST: usize = 3;

/// More issues together than these, which hide each other, would explain anything.
const MOST_HIDDEN: usize = 6;

impl KnownIssues {
    /// The fewest issues that reproduce precisely what the engine answered, if three are enough;
    /// else up to six of which none can be spared. `None` if none do. Precisely: the same keys, as
    /// often, and the same values of the rows that were expected.
    ///
    /// `check` is one of `case`'s; the case's other checks do not matter.
    pub fn explain(
        &self,
        case: &Case,
        check: &Check,
        divergence: &Divergence,
    ) -> Option<Vec<&Issue>> {
        if divergence.class == Class::ReferenceConflict {
            return None;
        }
        if let Some(issue) = self.by_shape(case, check, divergence) {
            return Some(vec![issue]);
        }
        if let Actual::Ways(ways) = &divergence.actual {
            return self.explain_ways(case, check, ways);
        }
        let canonical = predict(case, check, Semantics::canonical());
        let Prediction::Rows { rows: expected, .. } = &canonical else { return None };
        let all = self.semantics();
        let relevant = relevant(case, check, all);
        let reproduces = |switches: &[Switch]| {
            let semantics = switches.iter().copied().collect();
            self.reproduces(case, check, expected, divergence, semantics)
        };
        subsets(&relevant)
            .find(|switches| reproduces(switches))
            .or_else(|| {
                subsets(&relevant).find(|switches| {
                    let semantics = switches.iter().copied().collect();
                    self.reproduces_by_segment(case, check, expected, divergence, semantics)
                })
            })
            .or_else(|| together(all, &reproduces))
            .map(|switches| switches.into_iter().filter_map(|switch| self.of(switch)).collect())
            // What no issue has a part in is explained by none.
            .filter(|issues: &Vec<&Issue>| !issues.is_empty())
    }

    /// The issues by which each of the ways of asking came to its answer, if any did otherwise than
    /// documented.
    fn explain_ways(&self, case: &Case, check: &Check, ways: &[Way]) -> Option<Vec<&Issue>> {
        let mut issues: Vec<&Issue> = Vec::new();
        for (number, way) in ways.iter().enumerate() {
            let pages = match check {
                Check::Agree { relation: Relation::Paging(size), .. } if number == 1 => Some(*size),
                _ => None,
            };
            let filter = way.filter.as_deref().map(Filter::parse).transpose().ok()?;
            let asked = filter.map_or(Check::Entities, Check::Query);
            // What the model says of the rows that were returned, whichever these are.
            let judged = match (check, &way.filter) {
                (Check::Agree { relation: Relation::Projection, filter }, None) => Some(filter),
                _ => None,
            };
            let answers = |switches: &[Switch]| {
                let semantics = switches.iter().copied().collect();
                if let Some(filter) = judged {
                    let rows = case.rows_under(semantics);
                    let keys = matching(&filter.expr, &case.schema, &rows);
                    return matches!((keys, &way.answer), (Ok(keys), Answer::Rows(answered))
                        if keys == *answered);
                }
                match (predict(case, &asked, semantics), &way.answer) {
                    // Page after page has the whole list, until as many were asked for as there
                    // may be.
                    (Prediction::Rows { keys, .. }, Answer::Rows(answered))
                        if pages.is_some() && ignores_page(case, &asked, semantics) =>
                    {
                        let size = pages.unwrap_or(1);
                        let full = keys.len() >= size as usize;
                        let times = if full { most_pages(keys.len(), size) } else { 1 };
                        let mut all = vec![keys; times].concat();
                        all.sort();
                        all == *answered
                    }
                    (Prediction::Rows { keys, .. }, Answer::Rows(answered)) => keys == *answered,
                    (Prediction::Rows { keys, .. }, Answer::Count(n)) => keys.len() as u64 == *n,
                    _ => false,
                }
            };
            if answers(&[]) {
                continue;
            }
            let all = self.semantics();
            let switches = subsets(&relevant(case, &asked, all))
                .find(|switches| answers(switches))
                .or_else(|| together(all, &answers))?;
            for issue in switches.into_iter().filter_map(|switch| self.of(switch)) {
                if !issues.iter().any(|other| other.title == issue.title) {
                    issues.push(issue);
                }
            }
        }
        (!issues.is_empty()).then_some(issues)
    }

    /// Whether the known issues bear on the answer to a check, so that a campaign may steer clear.
    pub fn touch(&self, case: &Case, check: &Check) -> bool {
        match check {
            Check::Agree { .. } => check
                .filters(&case.schema)
                .into_iter()
                .any(|filter| self.touch(case, &Check::Query(filter))),
            check => self.touches(case, check),
        }
    }

    /// The first deletion on which known issues bear in a way that no switch accounts for, by its
    /// place among the operations: one by a filter, or one of keys that are written again. A key
    /// that was to be deleted and is inserted again may be there twice.
    pub fn touched_deletion(&self, case: &Case) -> Option<usize> {
        case.operations.iter().enumerate().find_map(|(place, operation)| match operation.plain() {
            Operation::DeleteWhere(filter) => {
                let before = Case {
                    operations: case.operations[..place].to_vec(),
                    checks: Vec::new(),
                    schema: case.schema.clone(),
                };
                let is_touched = self.touch(&before, &Check::Query(filter.clone()))
                    || self.leaves_what_is_written_again(case, place);
                is_touched.then_some(place)
            }
            Operation::Delete(_) => self.leaves_what_is_written_again(case, place).then_some(place),
            _ => None,
        })
    }

    /// Whether a deletion leaves other rows by what is known, and one of them is written later.
    fn leaves_what_is_written_again(&self, case: &Case, place: usize) -> bool {
        let (past, future) = case.operations.split_at(place + 1);
        let writes = future.iter().flat_map(Operation::rows);
        let written: BTreeSet<Key> = writes.filter_map(|row| row.key(&case.schema)).collect();
        if written.is_empty() {
            return false;
        }
        let past =
            Case { operations: past.to_vec(), checks: Vec::new(), schema: case.schema.clone() };
        let (right, known) = (past.rows(), past.rows_under(self.semantics()));
        written.iter().any(|key| right.contains_key(key) != known.contains_key(key))
    }

    fn touches(&self, case: &Case, check: &Check) -> bool {
        let canonical = predict(case, check, Semantics::canonical());
        let all = self.semantics();
        all.switches()
            .any(|switch| predict(case, check, Semantics::canonical().with(switch)) != canonical)
            || predict(case, check, all) != canonical
    }

    fn of(&self, wanted: Switch) -> Option<&Issue> {
        self.issues
            .iter()
            .find(|issue| matches!(&issue.cause, Cause::Switch { switch, .. } if *switch == wanted))
    }

    fn by_shape(&self, case: &Case, check: &Check, divergence: &Divergence) -> Option<&Issue> {
        let message = match &divergence.actual {
            Actual::Error(message) => message.as_str(),
            _ => "",
        };
        let mut found = None;
        self.issues.iter().find(|issue| match &issue.cause {
            Cause::Shape { class, shape: wanted, errors } if *class == divergence.class => {
                let found: &String = found.get_or_insert_with(|| {
                    let single = Case { checks: vec![check.clone()], ..case.clone() };
                    shape(&single, divergence)
                });
                found == wanted && (errors.is_empty() || errors.iter().any(|e| message.contains(e)))
            }
            _ => false,
        })
    }

    /// Whether the model finds or misses each row as the engine did, if some of the switches may be
    /// turned for one row and not for another.
    fn reproduces_by_segment(
        &self,
        case: &Case,
        check: &Check,
        expected: &BTreeMap<Key, Row>,
        divergence: &Divergence,
        semantics: Semantics,
    ) -> bool {
        let by_segment = self.by_segment();
        let elsewhere: Semantics =
            semantics.switches().filter(|switch| !by_segment.has(*switch)).collect();
        if elsewhere == semantics {
            return false;
        }
        let (Check::Query(_) | Check::QueryOrRefusal(_), Actual::Differs { keys, diff }) =
            (check.plain(), &divergence.actual)
        else {
            return false;
        };
        let (Prediction::Rows { rows: here, .. }, Prediction::Rows { rows: there, .. }) =
            (predict(case, check, semantics), predict(case, check, elsewhere))
        else {
            return false;
        };
        let mut answered = keys.clone();
        answered.sort();
        answered.dedup();
        let either: BTreeMap<Key, Row> =
            here.iter().chain(&there).map(|(key, row)| (key.clone(), row.clone())).collect();
        let in_both = here.keys().filter(|key| there.contains_key(key));
        diff.keyless == 0
            && answered.len() == keys.len()
            && answered.iter().all(|key| either.contains_key(key))
            && in_both.into_iter().all(|key| answered.contains(key))
            && same_changes(case, expected, &either, &answered, diff)
    }

    /// Whether the model answers as the engine did: the same keys, as often, and the same values of
    /// the rows that were expected.
    fn reproduces(
        &self,
        case: &Case,
        check: &Check,
        expected: &BTreeMap<Key, Row>,
        divergence: &Divergence,
        semantics: Semantics,
    ) -> bool {
        let (predicted, answered) = match (predict(case, check, semantics), &divergence.actual) {
            (Prediction::Rows { rows, keys }, _) => (rows, keys),
            (Prediction::Refused(switch), Actual::Error(message))
                if divergence.class == Class::WronglyRejected =>
            {
                let issue = self.of(switch).map(|issue| &issue.cause);
                return matches!(
                    issue,
                    Some(Cause::Switch { errors, .. }) if errors.iter().any(|e| message.contains(e))
                );
            }
            _ => return false,
        };
        match (check.plain(), &divergence.actual) {
            (Check::Count(_) | Check::CountAll, Actual::Count(count)) => {
                *count == answered.len() as u64
            }
            (Check::Page { .. }, Actual::Count(count)) if ignores_page(case, check, semantics) => {
                *count == answered.len() as u64
            }
            (Check::Page { limit, offset, .. }, Actual::Count(count)) => {
                let left = (answered.len() as u64).saturating_sub(u64::from(*offset));
                *count == left.min(u64::from(*limit))
            }
            // Any of those that are predicted; how near they are is not looked at again.
            (Check::Search { search, .. }, Actual::Rows(keys))
                if divergence.class != Class::WrongValue =>
            {
                let size = predicted.len().min(search.limit as usize);
                let partly = search.radius.is_some() || search.group_by.is_some();
                let whole = partly || keys.len() == size;
                whole && keys.iter().all(|key| predicted.contains_key(key))
            }
            // The whole list, rows repeated as often as it does.
            (Check::Page { .. }, Actual::Differs { keys, diff })
                if ignores_page(case, check, semantics) =>
            {
                let mut keys = keys.clone();
                keys.sort();
                diff.keyless == 0
                    && keys == answered
                    && same_changes(case, expected, &predicted, &keys, diff)
            }
            // Which rows are on the page is not promised: any that are predicted, each once.
            (Check::Page { limit, offset, .. }, Actual::Differs { keys, diff }) => {
                let left = answered.len().saturating_sub(*offset as usize);
                let mut distinct = keys.clone();
                distinct.sort();
                distinct.dedup();
                (distinct.len() == keys.len() || answered.len() > predicted.len())
                    && keys.len() == left.min(*limit as usize)
                    && keys.iter().all(|key| predicted.contains_key(key))
                    && same_changes(case, expected, &predicted, keys, diff)
            }
            (
                Check::Query(_) | Check::QueryOrRefusal(_) | Check::Entities,
                Actual::Differs { keys, diff },
            ) => {
                let mut keys = keys.clone();
                keys.sort();
                diff.keyless == 0
                    && keys == answered
                    && same_changes(case, expected, &predicted, &keys, diff)
            }
            _ => false,
        }
    }
}

/// Whether every page of a query is the whole answer.
fn ignores_page(case: &Case, check: &Check, semantics: Semantics) -> bool {
    let is_list = |filter: &Expr| filter.list_of(&case.schema.primary().name).is_some();
    semantics.has(Switch::KeyListIgnoresPage) && check.filter().is_some_and(is_list)
}

/// The switches that change the answer: alone, beside one that does, or among all others.
fn relevant(case: &Case, check: &Check, all: Semantics) -> Vec<Switch> {
    let answer = |semantics| predict(case, check, semantics);
    let canonical = answer(Semantics::canonical());
    let under_all = answer(all);
    let (mut relevant, mut left) = (Vec::new(), Vec::new());
    for switch in all.switches() {
        let bears = switch == Switch::KeyListIgnoresPage
            || answer(Semantics::canonical().with(switch)) != canonical
            || answer(all.without(switch)) != under_all;
        if bears { relevant.push(switch) } else { left.push(switch) }
    }
    let beside: Vec<(Semantics, Prediction)> = relevant
        .iter()
        .map(|switch| Semantics::canonical().with(*switch))
        .map(|semantics| (semantics, answer(semantics)))
        .collect();
    left.retain(|switch| beside.iter().any(|(it, before)| answer(it.with(*switch)) != *before));
    relevant.extend(left);
    relevant
}

/// Switches of which none can be spared to reproduce an answer: where one hides another, none of
/// them is relevant alone.
fn together(all: Semantics, reproduces: &dyn Fn(&[Switch]) -> bool) -> Option<Vec<Switch>> {
    [all, without_refusals(all)].into_iter().find_map(|all| {
        let mut left: Vec<Switch> = all.switches().collect();
        if !reproduces(&left) {
            return None;
        }
        for switch in all.switches() {
            let fewer: Vec<Switch> =
                left.iter().copied().filter(|other| *other != switch).collect();
            if reproduces(&fewer) {
                left = fewer;
            }
        }
        (left.len() <= MOST_HIDDEN).then_some(left)
    })
}

/// The switches but for those that make an engine refuse.
fn without_refusals(all: Semantics) -> Semantics {
    all.switches().filter(|switch| !switch.refuses()).collect()
}

/// Whether the rows of the answer, as often as they are there, differ from those that are expected
/// as the model predicts.
fn same_changes(
    case: &Case,
    expected: &BTreeMap<Key, Row>,
    predicted: &BTreeMap<Key, Row>,
    answered: &[Key],
    diff: &Diff,
) -> bool {
    let rows: Vec<Row> = answered.iter().filter_map(|key| predicted.get(key)).cloned().collect();
    let expected = expected.iter().map(|(key, row)| (key.clone(), row)).collect();
    let changed = Diff::rows(&case.schema, &expected, &rows).changed;
    let same =
        |a: &Change, b: &Change| a.key == b.key && a.field == b.field && a.actual.same(&b.actual);
    changed.len() == diff.changed.len()
        && changed.iter().all(|a| diff.changed.iter().any(|b| same(a, b)))
        && diff.changed.iter().all(|a| changed.iter().any(|b| same(a, b)))
}

/// The subsets of up to [`MOST`] elements, the smallest first.
fn subsets(all: &[Switch]) -> impl Iterator<Item = Vec<Switch>> {
    (1..=MOST.min(all.len())).flat_map(move |size| combinations(all, size))
}

fn combinations(all: &[Switch], size: usize) -> Vec<Vec<Switch>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for (i, first) in all.iter().enumerate() {
        for mut rest in combinations(&all[i + 1..], size - 1) {
            rest.insert(0, *first);
            found.push(rest);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Expected, Judges};

    /// A row with FLOAT 0.1 and a null, as an engine answers that compares as doubles and takes
    /// `in` on null for false.
    fn case(filter: &str) -> Case {
        let text = serde_json::json!({
            "format": "milvus-difftest/case", "version": 1,
            "schema": {"fields": [
                {"name": "id", "type": "INT64", "primary": true},
                {"name": "f", "type": "FLOAT", "nullable": true},
                {"name": "vec", "type": "FLOAT_VECTOR(2)"},
            ], "dynamic": true},
            "operations": [
                {"insert": [
                    {"id": 1, "f": 0.1, "vec": [0, 0], "$meta": {"x": 1}},
                    {"id": 2, "f": null, "vec": [0, 0]},
                ]},
                {"upsert": [{"id": 1, "f": 0.1, "vec": [0, 0]}]},
            ],
            "checks": [{"query": filter}],
        });
        Case::from_json(&text.to_string()).unwrap().0
    }

    fn known(switches: &[Switch]) -> KnownIssues {
        let issue = |switch: &Switch| Issue {
            title: switch.name().to_owned(),
            link: String::new(),
            cause: Cause::Switch { switch: *switch, errors: Vec::new(), by_segment: false },
            case: case("id > 0"),
        };
        KnownIssues { engine: "x".to_owned(), issues: switches.iter().map(issue).collect() }
    }

    /// What an engine answers whose switches are these, as a divergence.
    fn divergence(case: &Case, semantics: Semantics) -> Divergence {
        let check = &case.checks[0];
        let rows = |semantics| match predict(case, check, semantics) {
            Prediction::Rows { rows, keys } => (rows, keys),
            other => panic!("{other:?}"),
        };
        let (expected, _) = rows(Semantics::canonical());
        let (answered, keys) = rows(semantics);
        let answer: Vec<Row> = keys.iter().map(|key| answered[key].clone()).collect();
        let wanted = expected.iter().map(|(key, row)| (key.clone(), row)).collect();
        let diff = Diff::rows(&case.schema, &wanted, &answer);
        assert!(!diff.is_empty());
        Divergence {
            class: Class::MissingRows,
            judges: Judges::Both,
            expected: Expected::Rows(expected.keys().cloned().collect()),
            actual: Actual::Differs { keys, diff },
        }
    }

    /// Each entry of the shipped lists turns a switch that changes the answer to its own case.
    #[test]
    fn every_shipped_issue_bears_on_its_case() {
        for version in ["milvus_lite-3.2.2", "milvus_lite-2.5.1", "v2.3.5"] {
            let known = KnownIssues::for_version(version).unwrap();
            let all = known.semantics();
            for issue in &known.issues {
                let Cause::Switch { switch, .. } = &issue.cause else { continue };
                let case = &issue.case;
                let bears = |check: &Check| {
                    let alone = Semantics::canonical().with(*switch);
                    predict(case, check, alone) != predict(case, check, Semantics::canonical())
                        || predict(case, check, all) != predict(case, check, all.without(*switch))
                        || *switch == Switch::KeyListIgnoresPage
                            && matches!(check, Check::Page { filter, .. }
                                if filter.expr.list_of(&case.schema.primary().name).is_some())
                };
                assert!(case.checks.iter().any(bears), "{version}: {}", issue.title);
            }
        }
    }

    #[test]
    fn the_fewest_issues_that_reproduce_the_answer_explain_it() {
        use Switch::{FloatComparesAsDouble, IntDivisionIsReal, NullInListIsFalse};
        let known = known(&[IntDivisionIsReal, FloatComparesAsDouble, NullInListIsFalse]);
        for (filter, switches) in [
            ("f == 0.1", vec![FloatComparesAsDouble]),
            ("f not in [3.0]", vec![NullInListIsFalse]),
            ("(f > 0.1) or (f not in [0.1])", vec![NullInListIsFalse, FloatComparesAsDouble]),
        ] {
            let case = case(filter);
            let divergence = divergence(&case, switches.iter().copied().collect());
            let issues = known.explain(&case, &case.checks[0], &divergence).unwrap();
            let titles: Vec<&str> = issues.iter().map(|issue| issue.title.as_str()).collect();
            let names: Vec<&str> = switches.iter().map(|switch| switch.name()).collect();
            assert_eq!(titles, names, "{filter}");
            assert!(known.touch(&case, &case.checks[0]));
        }
        let case = case("id == 1");
        assert!(!known.touch(&case, &case.checks[0]));
    }

    #[test]
    fn pages_of_a_list_of_keys_are_explained_by_their_whole() {
        let mut case = case("id in [1, 2]");
        let filter = match &case.checks[0] {
            Check::Query(filter) => filter.clone(),
            other => panic!("{other}"),
        };
        case.checks = vec![Check::Agree { relation: Relation::Paging(1), filter: filter.clone() }];
        let there: Vec<Key> =
            match predict(&case, &Check::Query(filter.clone()), Semantics::canonical()) {
                Prediction::Rows { keys, .. } => keys,
                other => panic!("{other:?}"),
            };
        assert!(!there.is_empty());
        let text = Some(filter.to_string());
        let way = |keys: Vec<Key>| Way {
            what: String::new(),
            filter: text.clone(),
            answer: Answer::Rows(keys),
        };
        let explains = |times: usize| {
            let mut pages = vec![there.clone(); times].concat();
            pages.sort();
            let divergence = Divergence {
                class: Class::SelfInconsistent,
                expected: Expected::Agreement,
                actual: Actual::Ways(vec![way(there.clone()), way(pages), way(there.clone())]),
                judges: Judges::Target,
            };
            let known = known(&[Switch::KeyListIgnoresPage]);
            known.explain(&case, &case.checks[0], &divergence).is_some()
        };
        let most = most_pages(there.len(), 1);
        assert!(explains(most) && !explains(most - 1) && !explains(most + 1));
    }

    #[test]
    fn a_key_that_is_not_deleted_and_written_again_is_steered_around() {
        let place = |deleted: &str, written: Option<&str>| {
            let insert = |key: &str| serde_json::json!({"insert": [{"id": key, "vec": [0, 0]}]});
            let mut operations = vec![insert(deleted), serde_json::json!({"delete": [deleted]})];
            operations.extend(written.map(insert));
            let text = serde_json::json!({
                "format": "milvus-difftest/case", "version": 1,
                "schema": {"fields": [
                    {"name": "id", "type": "VARCHAR", "primary": true},
                    {"name": "vec", "type": "FLOAT_VECTOR(2)"},
                ], "dynamic": false},
                "operations": operations, "checks": ["entities"],
            });
            let case = Case::from_json(&text.to_string()).unwrap().0;
            known(&[Switch::EscapesAreDropped]).touched_deletion(&case)
        };
        assert_eq!(place("a\nb", Some("a\nb")), Some(1));
        // One switch says what becomes of these.
        assert_eq!((place("a\nb", Some("c")), place("a\nb", None)), (None, None));
        assert_eq!(place("ab", Some("ab")), None);
    }

    #[test]
    fn what_a_deletion_leaves_is_in_the_projection_as_well() {
        let text = serde_json::json!({
            "format": "milvus-difftest/case", "version": 1,
            "schema": {"fields": [
                {"name": "id", "type": "VARCHAR", "primary": true},
                {"name": "vec", "type": "FLOAT_VECTOR(2)"},
            ], "dynamic": false},
            "operations": [{"insert": [{"id": "a\nb", "vec": [0, 0]}]}, {"delete": ["a\nb"]}],
            "checks": [{"agree": {"relation": "projection", "filter": "id like \"a%\""}}],
        });
        let case = Case::from_json(&text.to_string()).unwrap().0;
        let way = |filter: Option<&str>, keys: &[&str]| Way {
            what: String::new(),
            filter: filter.map(str::to_owned),
            answer: Answer::Rows(keys.iter().map(|key| Key::Text((*key).to_owned())).collect()),
        };
        let explains = |filtered: &[&str], judged: &[&str]| {
            let ways = vec![way(Some("id like \"a%\""), filtered), way(None, judged)];
            let known = known(&[Switch::EscapesAreDropped]);
            known.explain_ways(&case, &case.checks[0], &ways).is_some()
        };
        assert!(explains(&[], &["a\nb"]));
        assert!(!explains(&[], &["another"]));
        // Right both times, for all that is known here.
        assert!(!explains(&[], &[]));
    }

    #[test]
    fn what_is_not_reproduced_to_the_last_row_is_new() {
        let known = known(&[Switch::FloatComparesAsDouble]);
        let case = case("f == 0.1 or id == 2");
        let mut divergence =
            divergence(&case, Semantics::canonical().with(Switch::FloatComparesAsDouble));
        assert!(known.explain(&case, &case.checks[0], &divergence).is_some());
        let Actual::Differs { keys, diff } = &mut divergence.actual else { unreachable!() };
        // It also lost the other row.
        diff.missing.append(keys);
        assert!(known.explain(&case, &case.checks[0], &divergence).is_none());
    }

    #[test]
    fn what_is_repeated_is_changed_as_often() {
        use Switch::{KeyListRepeatsRows, UpsertKeepsDynamicKeys};
        let known = known(&[KeyListRepeatsRows, UpsertKeepsDynamicKeys]);
        let case = case("id in [1, 2, 1]");
        let switches = [KeyListRepeatsRows, UpsertKeepsDynamicKeys];
        let mut divergence = divergence(&case, switches.into_iter().collect());
        assert!(known.explain(&case, &case.checks[0], &divergence).is_some());
        // Changed in one of the two alone.
        let Actual::Differs { diff, .. } = &mut divergence.actual else { unreachable!() };
        diff.changed.pop();
        assert!(known.explain(&case, &case.checks[0], &divergence).is_none());
    }

    /// Nulls are told apart in one segment and not in the other.
    #[test]
    fn a_switch_may_be_turned_in_some_segments() {
        use Switch::{FloatComparesAsDouble, NullInListIsFalse};
        let mut known = known(&[NullInListIsFalse, FloatComparesAsDouble]);
        let mut case = case("f not in [0.5]");
        for operation in &mut case.operations {
            if let crate::case::Operation::Insert(rows) = operation {
                let third = Row { fields: rows[1].fields.clone(), ..rows[1].clone() };
                rows.push(third);
                rows[2].fields.insert("id".to_owned(), crate::value::Value::Int(3));
            }
        }
        let everywhere = divergence(&case, Semantics::canonical().with(NullInListIsFalse));
        let mut somewhere = everywhere.clone();
        let Actual::Differs { keys, diff } = &mut somewhere.actual else { unreachable!() };
        keys.retain(|key| *key != Key::Int(3));
        diff.extra.retain(|key| *key != Key::Int(3));
        let explained = |known: &KnownIssues, divergence: &Divergence| {
            known.explain(&case, &case.checks[0], divergence).map(|issues| issues.len())
        };
        assert_eq!(explained(&known, &everywhere), Some(1));
        assert_eq!(explained(&known, &somewhere), None);
        for issue in &mut known.issues {
            if let Cause::Switch { switch: NullInListIsFalse, by_segment, .. } = &mut issue.cause {
                *by_segment = true;
            }
        }
        assert_eq!(explained(&known, &everywhere), Some(1));
        assert_eq!(explained(&known, &somewhere), Some(1));
        // A row that is missing both ways is not explained.
        let Actual::Differs { keys, diff } = &mut somewhere.actual else { unreachable!() };
        keys.retain(|key| *key != Key::Int(1));
        diff.missing.push(Key::Int(1));
        assert_eq!(explained(&known, &somewhere), None);
    }

    /// Alone it changes nothing, and among all others another hides it.
    #[test]
    fn a_switch_that_bears_only_beside_another_is_tried() {
        use Switch::{JsonArithmeticMismatchIsUnknown, JsonBoolIsNumber, NullInListIsFalse};
        let known = known(&[NullInListIsFalse, JsonArithmeticMismatchIsUnknown, JsonBoolIsNumber]);
        let mut case = case("f not in [0.5] or (x - 0) != 0");
        for (row, x) in case.operations.iter_mut().flat_map(|operation| match operation {
            crate::case::Operation::Insert(rows) => rows.iter_mut().zip(["{}", "true"]),
            _ => [].iter_mut().zip(["", ""]),
        }) {
            row.fields.insert("f".to_owned(), crate::value::Value::Null);
            row.dynamic.insert("x".to_owned(), serde_json::from_str(x).unwrap());
        }
        case.operations.truncate(1);
        let switches = [JsonArithmeticMismatchIsUnknown, JsonBoolIsNumber];
        let divergence = divergence(&case, switches.into_iter().collect());
        let issues = known.explain(&case, &case.checks[0], &divergence).unwrap();
        let titles: Vec<&str> = issues.iter().map(|issue| issue.title.as_str()).collect();
        assert_eq!(titles, switches.map(Switch::name));
    }

    #[test]
    fn a_write_is_explained_by_its_values() {
        let known = known(&[Switch::UpsertKeepsDynamicKeys]);
        let case = case("id == 1");
        let mut divergence =
            divergence(&case, Semantics::canonical().with(Switch::UpsertKeepsDynamicKeys));
        assert!(known.explain(&case, &case.checks[0], &divergence).is_some());
        let Actual::Differs { diff, .. } = &mut divergence.actual else { unreachable!() };
        diff.changed[0].actual = crate::value::Value::Json(serde_json::json!({"x": 2}));
        assert!(known.explain(&case, &case.checks[0], &divergence).is_none());
    }
}
