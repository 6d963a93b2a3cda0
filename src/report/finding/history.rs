//! The parts of `repro.py` for histories, and for answers that disagree with each other.

use std::collections::BTreeSet;

use super::literal;
use crate::case::{Case, Check, Maintenance, Operation, Relation, Scope};
use crate::filter::{Filter, Semantics};
use crate::oracle::{firsts, scores};
use crate::schema::{Field, Schema};
use crate::value::Key;
use crate::verdict::{Actual, Answer, Class, Divergence, Expected};

const ASKED: &str = r#"

def asked(client, name, filter, **options):
    """The keys that a query returns, sorted."""
    limit = {} if filter or options else {"limit": 16384}
    rows = client.query(
        name, filter=filter, output_fields=[KEY], timeout=TIMEOUT, **limit, **options
    )
    return sorted(row[KEY] for row in rows)
"#;

const RESTARTED: &str = r#"

def restarted(client, name):
    """Restarts the server with its data, by the command in MILVUS_RESTART."""
    command = os.environ.get("MILVUS_RESTART")
    if not command:
        raise RuntimeError("set MILVUS_RESTART to a command that restarts the server")
    subprocess.run(command, shell=True, check=True)
    client.load_collection(name)
"#;

const INTERRUPTED: &str = r#"

def interrupted(client, name, write, seconds):
    """Restarts the server so long after a write was begun. What became of that is not known."""

    def quietly():
        try:
            write()
        except Exception as error:
            print("the write was not acknowledged:", error)

    writer = threading.Thread(target=quietly)
    writer.start()
    time.sleep(seconds)
    restarted(client, name)
    writer.join()
"#;

const COMPACTED: &str = r#"

def compacted(client, name):
    """Compacts, and waits until that is done."""
    job = client.compact(name)
    while client.get_compaction_state(job) != "Completed":
        time.sleep(0.1)
"#;

const DROPPED: &str = r#"

def dropped(client, name, partition):
    """Drops a partition, which some servers want to be released before."""
    with contextlib.suppress(Exception):
        client.release_partitions(name, [partition], timeout=TIMEOUT)
    client.drop_partition(name, partition, timeout=TIMEOUT)
    client.load_collection(name, timeout=TIMEOUT)
"#;

const ELSEWHERE: &str = r#"

def elsewhere(client, name):
    """Another collection of the same schema, empty."""
    other = name + "_elsewhere"
    if not client.has_collection(other, timeout=TIMEOUT):
        create(client, other@ADDED@)
    return other
"#;

const PARTITION: &str = r#"
    true, false, *unknown = (asked(client, name, filter) for filter in FILTERS)
    whole = set(asked(client, name, ""))
    print("where it is true:       ", true)
    print("where it is false:      ", false)
    print("where it may be unknown:", unknown)
    print("all rows:               ", sorted(whole))
    both = set(true) | set(false)
    left = whole - both - set().union(*unknown)
    return bool(set(true) & set(false)) or bool(both - whole) or bool(left)
"#;

const REWRITE: &str = r#"
    first, second = (asked(client, name, filter) for filter in FILTERS)
    print("as it is: ", first)
    print("rewritten:", second)
    return first != second
"#;

const PROJECTION: &str = r#"
    actual = asked(client, name, FILTERS[0])
    print("of the rows as they are returned, these match:", EXPECTED)
    print("by the filter:                                ", actual)
    return actual != EXPECTED
"#;

const COUNTS: &str = r#"
    rows = asked(client, name, FILTERS[0])
    count = client.query(
        name, filter=FILTERS[0], output_fields=["count(*)"], timeout=TIMEOUT
    )[0]["count(*)"]
    print("rows:    ", len(rows))
    print("count(*):", count)
    return len(rows) != count
"#;

const PAGING: &str = r#"
    whole = asked(client, name, FILTERS[0])
    paged = []
    for offset in range(0, len(whole) + 2 * SIZE, SIZE):
        paged += asked(client, name, FILTERS[0], limit=SIZE, offset=offset)
    iterated = []
    iterator = client.query_iterator(
        name, batch_size=SIZE, filter=FILTERS[0], output_fields=[KEY], timeout=TIMEOUT
    )
    while batch := iterator.next():
        iterated += [row[KEY] for row in batch]
    print("at once: ", whole)
    print("by pages:", sorted(paged))
    print("by keys: ", sorted(iterated))
    return whole != sorted(paged) or whole != sorted(iterated)
"#;

const AFTER: &str = r#"
    before = asked(client, name, FILTERS[0])
    @STEP@
    after = asked(client, name, FILTERS[0])
    print("before:", before)
    print("after: ", after)
    return before != after
"#;

const CONSISTENCY: &str = r#"
    now = asked(client, name, FILTERS[0], consistency_level=LEVEL)
    strong = asked(client, name, FILTERS[0], consistency_level="Strong")
    print(f"{LEVEL}:", now)
    print("Strong:", strong)
    if LEVEL == "Session":
        return now != strong
    # It may lag behind, but not have what there is not and never was.
    return len(now) != len(set(now)) or not set(now) <= set(strong) | set(PAST)
"#;

const TEMPLATE: &str = r#"
    written = asked(client, name, FILTERS[0])
    sent = asked(client, name, TEMPLATES, filter_params=VALUES)
    print("constants written out:     ", written)
    print("constants sent beside it:  ", sent)
    return written != sent
"#;

const TORN: &str = r#"
    actual = asked(client, name, "")
    print("must be there:    ", MUST)
    print("must not be there:", MUST_NOT)
    print("is there:         ", actual)
    return not set(MUST) <= set(actual) or bool(set(MUST_NOT) & set(actual))
"#;

const SEARCH: &str = r#"
    result = client.search(
        @NAME@,
        [NEAR],
        filter=FILTERS[0],
        limit=LIMIT,
        anns_field=FIELD,
        search_params=SEARCH,@GROUPS@@SCOPE@
        timeout=TIMEOUT,
    )[0]
    actual = [(hit.get(KEY, hit.get("id")), hit["distance"]) for hit in result]@HANDLES@
    print("expected:", EXPECTED[:LIMIT])
    print("actual:  ", actual)
    # Single precision may tell rows apart otherwise, and rows as near may change places.
    near = [abs(score - best) <= TOLERANCE for (_, score), (_, best) in zip(actual, EXPECTED)]
    own = [abs(score - @SCORES@.get(key, math.inf)) <= TOLERANCE for key, score in actual]
    return len(actual) != len(EXPECTED[:LIMIT]) or not all(near + own)
"#;

/// What tells that the bug is present, if it is one of these.
pub(super) fn body(check: &Check, divergence: &Divergence) -> Option<&'static str> {
    if is_torn(divergence) {
        return Some(TORN);
    }
    match (check.plain(), &divergence.actual) {
        (Check::Agree { relation, .. }, Actual::Ways(_)) => Some(match relation {
            Relation::Partition => PARTITION,
            Relation::Projection => PROJECTION,
            Relation::Rewrite(_) => REWRITE,
            Relation::Paging(_) => PAGING,
            Relation::Template => TEMPLATE,
            Relation::Counts => COUNTS,
            Relation::Consistency(_) => CONSISTENCY,
            Relation::After(_) => AFTER,
        }),
        (Check::Search { .. }, Actual::Rows(_)) if divergence.class != Class::WrongValue => {
            Some(SEARCH)
        }
        _ => None,
    }
}

/// The body with what it is about.
pub(super) fn filled(body: &str, case: &Case) -> String {
    match case.checks.first() {
        Some(Check::Agree { relation: Relation::After(step), .. }) => {
            body.replace("@STEP@", &maintenance(&case.schema, step))
        }
        _ => {
            // What the case calls the rows whose keys the server assigned.
            let named = "\n    actual = [(HANDLES.get(key, key), score) for key, score in actual]";
            let scope = case.checks.first().map_or(Scope::WHOLE, Check::scope);
            let limited = match partitions(scope).trim_end() {
                "" => String::new(),
                limited => format!("\n        {limited}"),
            };
            let groups = match case.checks.first().map(Check::plain) {
                Some(Check::Search { search, .. }) if search.group_by.is_some() => {
                    ("\n        group_by_field=GROUP,", "SCORES")
                }
                _ => ("", "dict(EXPECTED)"),
            };
            let handles = if case.schema.primary().auto_id { named } else { "" };
            body.replace("@HANDLES@", handles)
                .replace("@SCOPE@", &limited)
                .replace("@GROUPS@", groups.0)
                .replace("@SCORES@", groups.1)
                .replace("@NAME@", &name(scope))
        }
    }
}

/// The constants of such a body.
pub(super) fn constants(case: &Case, divergence: &Divergence) -> String {
    let mut text = format!("KEY = {}\n", literal::string(&case.schema.primary().name));
    if let (true, Actual::Ways(ways)) = (is_torn(divergence), &divergence.actual) {
        let of = |number: usize| match ways.get(number).map(|way| &way.answer) {
            Some(Answer::Rows(keys)) => keys.iter().collect::<BTreeSet<_>>(),
            _ => BTreeSet::new(),
        };
        let (before, after, now) = (of(0), of(1), of(2));
        let list = |keys: Vec<&Key>| literal::list(keys.into_iter().map(literal::key));
        let must = list(before.intersection(&after).copied().collect());
        let not = now.into_iter().filter(|key| !before.contains(key) && !after.contains(key));
        text.push_str(&format!("MUST = {must}\nMUST_NOT = {}\n", list(not.collect())));
        return text;
    }
    let Some(check) = case.checks.first() else { return text };
    let mut filters: Vec<String> =
        check.filters(&case.schema).iter().map(Filter::to_string).collect();
    if filters.is_empty() {
        filters.push(String::new());
    }
    let filters = filters.iter().map(|filter| format!("    {},\n", literal::string(filter)));
    text.push_str(&format!("FILTERS = [\n{}]\n", filters.collect::<String>()));
    match (check.plain(), &divergence.actual) {
        (Check::Agree { relation: Relation::Paging(size), .. }, _) => {
            text.push_str(&format!("SIZE = {size}\n"));
        }
        (Check::Agree { relation: Relation::Consistency(level), .. }, _) => {
            let state = case.history(Semantics::canonical());
            let past: BTreeSet<Key> =
                state.dead.iter().filter_map(|row| row.key(&case.schema)).collect();
            text.push_str(&format!(
                "LEVEL = \"{}\"\n# Rows that were deleted or replaced.\nPAST = {}\n",
                level.title(),
                literal::list(past.iter().map(literal::key))
            ));
        }
        (Check::Agree { relation: Relation::Template, filter }, _) => {
            if let Some((templates, values)) = filter.expr.parametrized() {
                let values = values.iter().map(|(name, value)| {
                    format!("{}: {}", literal::string(name), literal::constant(value))
                });
                text.push_str(&format!(
                    "TEMPLATES = {}\nVALUES = {{{}}}\n",
                    literal::string(&templates.to_string()),
                    values.collect::<Vec<_>>().join(", ")
                ));
            }
        }
        (Check::Agree { relation: Relation::Projection, .. }, Actual::Ways(ways)) => {
            if let Some(Answer::Rows(keys)) = ways.last().map(|way| &way.answer) {
                let keys = literal::list(keys.iter().map(literal::key));
                text.push_str(&format!("EXPECTED = {keys}\n"));
            }
        }
        (Check::Search { search, .. }, _) => {
            let near = literal::list(search.near.iter().map(|x| format!("{x:?}")));
            let bounds = [("radius", search.radius), ("range_filter", search.range_filter)];
            let bounds: Vec<String> = bounds
                .into_iter()
                .filter_map(|(name, bound)| Some(format!(r#""{name}": {:?}"#, bound?)))
                .collect();
            let radius =
                (!bounds.is_empty()).then(|| format!(r#", "params": {{{}}}"#, bounds.join(", ")));
            let scores = scores(case, check, search);
            let largest = scores.iter().map(|(_, score)| score.abs()).fold(1.0, f64::max);
            let pair = |(key, score): &(Key, f64)| format!("({}, {score:?})", literal::key(key));
            let mut nearest = scores.clone();
            if let Some(field) = &search.group_by {
                nearest = firsts(search, &case.rows_asked(check), &scores);
                text.push_str(&format!(
                    "GROUP = {}\n# Every row that matches, with its score.\nSCORES = dict({})\n",
                    literal::string(field),
                    literal::list(scores.iter().map(pair))
                ));
            }
            text.push_str(&format!(
                "NEAR = {near}\nLIMIT = {}\nFIELD = {}\nSEARCH = {{\"metric_type\": \"{}\"{}}}\n\
                 # The right answer without a limit: the nearest first, with its score.\n\
                 EXPECTED = {}\nTOLERANCE = {:?}\n",
                search.limit,
                literal::string(&search.field),
                search.metric(&case.schema).name(),
                radius.unwrap_or_default(),
                literal::list(nearest.iter().map(pair)),
                1e-4 * largest,
            ));
        }
        _ => {}
    }
    text
}

/// The call that does it.
pub(super) fn maintenance(schema: &Schema, step: &Maintenance) -> String {
    match step {
        Maintenance::Flush => "client.flush(name, timeout=TIMEOUT)".to_owned(),
        Maintenance::Compact => "compacted(client, name)".to_owned(),
        Maintenance::Index { field, kind } => format!(
            "index = client.prepare_index_params()\n    index.add_index({}, index_type={})\n    \
             client.create_index(name, index, timeout=TIMEOUT)",
            literal::string(field),
            literal::string(kind)
        ),
        Maintenance::Rebuild { field, kind } => format!(
            "client.release_collection(name, timeout=TIMEOUT)\n    client.drop_index(name, \
             index_name={0}, timeout=TIMEOUT)\n    index = client.prepare_index_params()\n    \
             index.add_index({0}, index_type={1}, metric_type={2}{3})\n    \
             client.create_index(name, index, timeout=TIMEOUT)\n    \
             client.load_collection(name, timeout=TIMEOUT)",
            literal::string(field),
            literal::string(kind),
            literal::string(schema.field(field).and_then(Field::metric).unwrap_or_default()),
            if kind == "IVF_FLAT" { r#", params={"nlist": 1}"# } else { "" },
        ),
        Maintenance::DropIndex { field } => {
            format!("client.drop_index(name, index_name={})", literal::string(field))
        }
        Maintenance::Reload => {
            "client.release_collection(name)\n    client.load_collection(name)".to_owned()
        }
        Maintenance::Restart | Maintenance::Kill => "restarted(client, name)".to_owned(),
        // With the write that follows, see `interrupted`.
        Maintenance::KillInWrite { .. } => String::new(),
    }
}

/// All steps of a case, with the one that its question is about.
pub(super) fn all_steps(case: &Case) -> String {
    let write = "write(client, name)";
    match case.checks.first() {
        Some(Check::Agree { relation: Relation::After(step), .. }) => {
            let step = maintenance(&case.schema, step).replace('\n', "\n    ");
            format!("{write}\n        {step}")
        }
        _ => write.to_owned(),
    }
}

/// Whether a write is neither carried out nor left undone.
pub(super) fn is_torn(divergence: &Divergence) -> bool {
    matches!(
        (&divergence.expected, divergence.class),
        (Expected::Accepted, Class::SelfInconsistent)
    )
}

/// Calls that write, with a restart of the server so many microseconds after they are begun; and
/// once more, if what has arrived of it is of no interest.
pub(super) fn interrupted(calls: &str, micros: u32, again: bool) -> String {
    let once_more = match again {
        true => format!("\n    {}", calls.replace("client.insert(", "client.upsert(")),
        false => String::new(),
    };
    format!(
        "def last():\n        {}\n\n    interrupted(client, name, last, {:?}){once_more}",
        calls.replace("\n", "\n    "),
        f64::from(micros) / 1e6,
    )
}

/// A question in between, whose answer is of no interest here.
pub(super) fn question(schema: &Schema, check: &Check) -> String {
    let filter = check.spelled().map(ToString::to_string);
    let partitions = partitions(check.scope());
    let partitions = match partitions.trim_end().trim_end_matches(',') {
        "" => String::new(),
        limited => format!(", {limited}"),
    };
    let (output, limit) = match check.plain() {
        Check::Count(_) | Check::CountAll => ("count(*)".to_owned(), String::new()),
        Check::Page { limit, offset, .. } => {
            (schema.primary().name.clone(), format!(", limit={limit}, offset={offset}"))
        }
        _ if filter.is_none() => (schema.primary().name.clone(), ", limit=16384".to_owned()),
        _ => (schema.primary().name.clone(), String::new()),
    };
    format!(
        "client.query(\n        {},\n        filter={},\n        output_fields=[{}]{limit}{partitions},\n        \
         timeout=TIMEOUT,\n    )",
        name(check.scope()),
        literal::string(&filter.unwrap_or_default()),
        literal::string(&output)
    )
}

/// The argument of calls that limits them to partitions, with a comma and a space; nothing if there
/// is no such limit.
pub(super) fn partitions(scope: &Scope) -> String {
    match scope.partitions.as_slice() {
        [] => String::new(),
        names => {
            let names = literal::list(names.iter().map(|name| literal::string(name)));
            format!("partition_names={names}, ")
        }
    }
}

/// An alias of the script's collection.
pub(super) fn alias(alias: &str) -> String {
    format!("name + {}", literal::string(&format!("_{alias}")))
}

/// What the collection is called in a question.
pub(super) fn name(scope: &Scope) -> String {
    scope.alias.as_deref().map_or("name".to_owned(), alias)
}

/// Whether an alias is pointed to another collection.
pub(super) fn moves(case: &Case) -> bool {
    case.operations.iter().any(|step| matches!(step, Operation::AlterAlias { elsewhere: true, .. }))
}

/// The fields that some operations add, as further arguments of `create`.
pub(super) fn added(operations: &[Operation]) -> String {
    let names = operations.iter().map(|step| match step {
        Operation::AddField(name) => format!(", {}", literal::string(name)),
        _ => String::new(),
    });
    names.collect()
}

/// What goes before the collection can be dropped: its aliases, and where they point to.
pub(super) fn unnamed(case: &Case) -> String {
    let mut calls = Vec::new();
    for step in &case.operations {
        if let Operation::CreateAlias(name) = step {
            calls.push(format!("client.drop_alias({}, timeout=TIMEOUT)", alias(name)));
        }
    }
    if moves(case) {
        calls.push("client.drop_collection(name + \"_elsewhere\", timeout=TIMEOUT)".to_owned());
    }
    let tried = calls.into_iter().map(|call| {
        format!("            with contextlib.suppress(Exception):\n                {call}\n")
    });
    tried.collect()
}

/// Every maintenance of a case, in its operations and in its check.
fn steps(case: &Case) -> impl Iterator<Item = &Maintenance> {
    let operations = case.operations.iter().filter_map(|operation| match operation {
        Operation::Maintain(step) => Some(step),
        _ => None,
    });
    let checks = case.checks.iter().filter_map(|check| match check {
        Check::Agree { relation: Relation::After(step), .. } => Some(step),
        _ => None,
    });
    operations.chain(checks)
}

fn restarts(case: &Case) -> bool {
    steps(case).any(|step| matches!(step, Maintenance::Restart | Maintenance::Kill))
        || interrupts(case)
}

fn interrupts(case: &Case) -> bool {
    steps(case).any(|step| matches!(step, Maintenance::KillInWrite { .. }))
}

fn compacts(case: &Case) -> bool {
    steps(case).any(|step| *step == Maintenance::Compact)
}

fn drops(case: &Case) -> bool {
    case.operations.iter().any(|step| matches!(step, Operation::DropPartition(_)))
}

/// What is imported for that.
pub(super) fn modules(case: &Case) -> Vec<&'static str> {
    let mut modules = Vec::new();
    modules.extend(restarts(case).then_some("subprocess"));
    let searches = |check: &Check| matches!(check.plain(), Check::Search { .. });
    modules.extend(case.checks.first().is_some_and(searches).then_some("math"));
    modules.extend(interrupts(case).then_some("threading"));
    modules.extend((compacts(case) || interrupts(case)).then_some("time"));
    modules
}

/// The functions that are called.
pub(super) fn functions(case: &Case, asks: bool) -> String {
    let mut text = String::new();
    for (needed, function) in [
        (restarts(case), RESTARTED),
        (interrupts(case), INTERRUPTED),
        (compacts(case), COMPACTED),
        (drops(case), DROPPED),
        (moves(case), ELSEWHERE),
        (asks, ASKED),
    ] {
        text.push_str(if needed { function } else { "" });
    }
    text.replace("@ADDED@", &added(&case.operations))
}
