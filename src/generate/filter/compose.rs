//! From single predicates to whole filters.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::chance::Chance;
use super::site::{Boundaries, Site, sites};
use super::term::Terms;
use crate::filter::grammar::{Cell, Construct, Operand, applicable, cells, for_each_cell};
use crate::filter::{
    BinaryOp, Columns, Expr, FieldPath, Filter, Floats, Literal, Quotes, Radix, Spelling, Strings,
    Truths, Words, check,
};
use crate::milvus::Dialect;
use crate::schema::Schema;
use crate::value::Row;

/// How deep predicates are nested, at most and unless another depth is asked for. Milvus Lite fails
/// between 100 and 200.
pub const MAX_DEPTH: usize = 40;

/// Deep nesting and long chains begin here.
const DEEP: usize = 11;
const LONG: std::ops::RangeInclusive<usize> = 11..=40;

/// Well-typed filters that the dialect accepts. Most select some of the rows and not all.
pub fn filters(schema: &Schema, rows: &[Row], dialect: &Dialect) -> BoxedStrategy<Filter> {
    let composer = Composer::new(schema, rows, dialect, MAX_DEPTH);
    Just(()).prop_perturb(move |(), rng| composer.filter(&mut Chance::new(rng))).boxed()
}

/// Makes filters for one collection. Whatever is the same for all of them is found out once.
pub(in crate::generate) struct Composer {
    /// The rows that filters are to tell apart, and their schema.
    columns: Arc<Columns<'static>>,
    dialect: Dialect,
    depth: usize,
    sites: Vec<Site>,
    boundaries: Boundaries,
    /// The sites of each operand.
    places: BTreeMap<Operand, Vec<usize>>,
    /// What the dialect accepts here: by construct, and by operand.
    by_construct: Vec<(Construct, Vec<Operand>)>,
    by_operand: Vec<Constructs>,
    accepted: Accepted,
    beyond: Vec<Cell>,
    /// The site of the partition key, and what prunes partitions there.
    partition_key: Option<(usize, Vec<Construct>)>,
    /// The site that an `element_filter` can be about.
    elements: Option<usize>,
    spellings: Vec<Spelling>,
}

/// What can be asked of an operand.
struct Constructs {
    operand: Operand,
    all: Vec<Construct>,
    /// Those of which filters consist in practice.
    common: Vec<Construct>,
}

/// The cells that the dialect accepts, for those operands that the schema has.
struct Accepted {
    /// By construct; first of those that are about no operand.
    tables: Vec<(Option<Operand>, Vec<bool>)>,
}

impl Accepted {
    fn of(dialect: &Dialect, operands: impl Iterator<Item = Operand>) -> Accepted {
        let table = |operand: Option<Operand>| {
            let accepts =
                |construct: &Construct| dialect.accepts(&Cell { construct: *construct, operand });
            (operand, Construct::ALL.iter().map(accepts).collect())
        };
        Accepted { tables: std::iter::once(None).chain(operands.map(Some)).map(table).collect() }
    }

    /// `None` if the operand is another.
    fn get(&self, cell: &Cell) -> Option<bool> {
        let (_, table) = self.tables.iter().find(|(operand, _)| *operand == cell.operand)?;
        table.get(cell.construct as usize).copied()
    }
}

/// A predicate, and its truth on each row; `None` where that is undefined on some row.
struct Term {
    expr: Expr,
    truths: Option<Truths>,
}

/// Whether a filter tells rows apart.
fn selects(truths: Option<&Truths>) -> bool {
    truths.is_some_and(|truths| (1..truths.len()).contains(&truths.matching()))
}

impl Term {
    fn is_selective(&self) -> bool {
        selects(self.truths.as_ref())
    }

    /// Whether every row matches.
    fn is_total(&self) -> bool {
        self.truths.as_ref().is_some_and(|truths| truths.matching() == truths.len())
    }

    fn not(self) -> Term {
        Term { expr: Expr::Not(Box::new(self.expr)), truths: self.truths.map(Truths::not) }
    }

    /// The truth of this and another predicate joined.
    fn joined(&self, op: BinaryOp, other: &Term) -> Option<Truths> {
        let (a, b) = (self.truths.as_ref()?, other.truths.as_ref()?);
        Some(if op == BinaryOp::And { a.and(b) } else { a.or(b) })
    }

    /// This and another predicate, whose joined truth is known.
    fn with(self, op: BinaryOp, other: Term, truths: Option<Truths>) -> Term {
        Term { expr: Expr::binary(self.expr, op, other.expr), truths }
    }

    fn join(self, op: BinaryOp, other: Term) -> Term {
        let truths = self.joined(op, &other);
        self.with(op, other, truths)
    }
}

impl Composer {
    pub(in crate::generate) fn new(
        schema: &Schema,
        rows: &[Row],
        dialect: &Dialect,
        depth: usize,
    ) -> Composer {
        let columns = Arc::new(Columns::owned(schema.clone(), rows.to_vec()));
        Composer::on(columns, sites(schema, rows), dialect, depth)
    }

    fn on(
        columns: Arc<Columns<'static>>,
        sites: Vec<Site>,
        dialect: &Dialect,
        depth: usize,
    ) -> Composer {
        let schema = columns.schema();
        let mut places: BTreeMap<Operand, Vec<usize>> = BTreeMap::new();
        for (i, site) in sites.iter().enumerate() {
            places.entry(site.operand).or_default().push(i);
        }
        let (accepted, beyond): (Vec<Cell>, Vec<Cell>) =
            applicable(schema).into_iter().partition(|cell| dialect.accepts(cell));
        let mut by_construct: BTreeMap<Construct, Vec<Operand>> = BTreeMap::new();
        let mut by_operand: BTreeMap<Operand, Vec<Construct>> = BTreeMap::new();
        for Cell { construct, operand } in &accepted {
            // It has places of its own, in `ended`.
            if let Some(operand) = operand
                && *construct != Construct::ElementFilter
            {
                by_construct.entry(*construct).or_default().push(*operand);
                by_operand.entry(*operand).or_default().push(*construct);
            }
        }
        let constructs = |(operand, all): (Operand, Vec<Construct>)| {
            let common = all.iter().copied().filter(|construct| is_common(*construct)).collect();
            Constructs { operand, all, common }
        };
        let by_operand: Vec<Constructs> = by_operand.into_iter().map(constructs).collect();
        let partition_key = || {
            let key = schema.fields.iter().find(|field| field.partition_key)?;
            let path = FieldPath::new(&key.name);
            let at = sites.iter().position(|site| site.path == path)?;
            let operand = sites.get(at)?.operand;
            let constructs = by_operand.iter().find(|it| it.operand == operand)?;
            let prunes = |it: &&Construct| matches!(it, Construct::Equality | Construct::In);
            Some((at, constructs.all.iter().filter(prunes).copied().collect()))
        };
        let filtered = |site: &Site| {
            let operand = Some(site.operand);
            let cell = Cell { construct: Construct::ElementFilter, operand };
            cell.construct.fits(operand) && dialect.accepts(&cell)
        };
        Composer {
            depth,
            partition_key: partition_key(),
            elements: sites.iter().position(filtered),
            spellings: SPELLINGS
                .into_iter()
                .filter(|construct| dialect.has(*construct))
                .filter_map(spelling_of)
                .collect(),
            accepted: Accepted::of(dialect, places.keys().copied()),
            dialect: dialect.clone(),
            boundaries: Boundaries::new(),
            places,
            by_construct: by_construct.into_iter().collect(),
            by_operand,
            beyond,
            sites,
            columns,
        }
    }

    fn schema(&self) -> &Schema {
        self.columns.schema()
    }

    /// A filter that the dialect accepts, as the parser reads its text.
    pub(in crate::generate) fn filter(&self, chance: &mut Chance) -> Filter {
        if self.dialect.has(Construct::ConstantFilter) && chance.permille(5) {
            let constants = self.terms(chance).constants();
            return self.spelled(chance, constants);
        }
        if chance.permille(15)
            && let Some(filter) = self.lookup(chance)
        {
            return filter;
        }
        let rare = if self.depth > MAX_DEPTH { 100 } else { 10 };
        let deep = self.depth >= DEEP && self.dialect.has(Construct::DeepNesting);
        let long = self.dialect.has(Construct::LongChain);
        let term = match chance.below(1000) {
            choice if choice < rare && deep => self.deep(chance),
            choice if choice < rare + 10 && long => self.long(chance),
            _ => {
                let leaves = chance.one_of([1, 1, 1, 1, 2, 2, 2, 3, 4, 6]);
                self.tree(chance, leaves, self.depth)
            }
        };
        let mut term = self.sharpened(chance, term);
        let mut constant = true;
        term.expr.for_each_path(&mut |_| constant = false);
        if constant && !self.dialect.has(Construct::ConstantFilter) {
            let other = self.last_resort(chance);
            term = self.join(chance, term, other);
        }
        let expr = self.ended(chance, term.expr);
        self.spelled(chance, expr)
    }

    /// Nothing but a list of keys, which engines answer without a scan; half of the time one of
    /// them is there twice. `None` if the dialect has no such filter.
    pub(in crate::generate) fn lookup(&self, chance: &mut Chance) -> Option<Filter> {
        let key = FieldPath::new(&self.schema().primary().name);
        let site = self.sites.iter().find(|site| site.path == key)?;
        let mut list: Vec<Literal> =
            (0..chance.within(1, 6)).filter_map(|_| chance.pick(&site.values).cloned()).collect();
        if chance.one_in(2)
            && let Some(again) = chance.pick(&list)
        {
            list.push(again.clone());
        }
        let operand = Box::new(Expr::Field(key));
        let expr = Expr::In { operand, list, negated: false };
        let fits = check(self.schema(), &expr).is_ok() && self.accepts(&expr);
        fits.then(|| self.spelled(chance, expr))
    }

    /// The filter, now and then with an `element_filter` at its end, or with nothing else: one that
    /// no row has elements for, which alone is defined.
    fn ended(&self, chance: &mut Chance, expr: Expr) -> Expr {
        let Some(site) = self.elements.and_then(|at| self.sites.get(at)) else { return expr };
        if !chance.permille(30) {
            return expr;
        }
        for _ in 0..12 {
            let last = self.terms(chance).propose(Construct::ElementFilter, site);
            let Some(last) = last else { continue };
            let whole = match chance.one_in(2) {
                true => last,
                false => Expr::binary(expr.clone(), BinaryOp::And, last),
            };
            let fits = check(self.schema(), &whole).is_ok() && self.accepts(&whole);
            if fits && self.truths(&whole).is_some() {
                return whole;
            }
        }
        expr
    }

    /// A filter with something that the dialect lacks; `None` if it lacks nothing here.
    pub(in crate::generate) fn beyond(&self, chance: &mut Chance) -> Option<Filter> {
        let everything = Dialect::everything();
        let cell = *chance.pick(&self.beyond)?;
        let touches = |filter: &Filter| cells(self.schema(), filter).contains(&cell);
        for _ in 0..20 {
            let filter = match cell.operand {
                Some(operand) => {
                    let site = self.site(chance, operand)?;
                    let expr = self.terms(chance).propose(cell.construct, site);
                    expr.map(Filter::from)
                }
                None => self.beyond_words(chance, cell.construct),
            };
            let Some(filter) = filter else { continue };
            let valid = check(self.schema(), &filter.expr).is_ok();
            if valid && touches(&filter) && self.truths(&filter.expr).is_some() {
                return Some(filter.normalised());
            }
        }
        // What is written in a way that the dialect lacks, if nothing else succeeds.
        let composer = Composer::on(self.columns.clone(), self.sites.clone(), &everything, 0);
        let expr = composer.tree(chance, 1, 0).expr;
        Some(Filter::from(expr).normalised())
    }

    /// A filter with a construct that is about no operand.
    fn beyond_words(&self, chance: &mut Chance, construct: Construct) -> Option<Filter> {
        let expr = match construct {
            Construct::ConstantFilter => self.terms(chance).constants(),
            Construct::ConstantPredicate => {
                let constant = self.terms(chance).constants();
                Expr::binary(self.term(chance).expr, BinaryOp::And, constant)
            }
            Construct::Negation => self.term(chance).not().expr,
            Construct::And => self.term(chance).join(BinaryOp::And, self.term(chance)).expr,
            Construct::Or => self.term(chance).join(BinaryOp::Or, self.term(chance)).expr,
            Construct::LongChain => self.long(chance).expr,
            Construct::DeepNesting => self.deep(chance).expr,
            Construct::LeastInteger | Construct::InLong => {
                let (_, site) = self.some_site(chance, construct)?;
                self.terms(chance).propose(construct, site)?
            }
            _ => self.tree(chance, 2, 2).expr,
        };
        let spelling = spelling_of(construct).unwrap_or_default();
        Some(Filter { expr, spelling })
    }

    fn terms<'t>(&'t self, chance: &'t mut Chance) -> Terms<'t> {
        Terms { chance, sites: &self.sites, boundaries: &self.boundaries }
    }

    fn site(&self, chance: &mut Chance, operand: Operand) -> Option<&Site> {
        self.places.get(&operand).and_then(|places| self.sites.get(*chance.pick(places)?))
    }

    /// A construct and a place for it. Half of the time all constructs are alike, so that none is
    /// left out; else all operands are, and what is asked most in practice is asked most.
    fn choose(&self, chance: &mut Chance) -> Option<(Construct, &Site)> {
        if let Some(found) = self.partition_key(chance) {
            return Some(found);
        }
        let (construct, operand) = if chance.one_in(2) {
            let (construct, operands) = chance.pick(&self.by_construct)?;
            (*construct, *chance.pick(operands)?)
        } else {
            let Constructs { operand, all, common } = chance.pick(&self.by_operand)?;
            let constructs = if chance.one_in(3) || common.is_empty() { all } else { common };
            (*chance.pick(constructs)?, *operand)
        };
        Some((construct, self.site(chance, operand)?))
    }

    /// Now and then, what engines prune partitions by: the partition key equal to something.
    fn partition_key(&self, chance: &mut Chance) -> Option<(Construct, &Site)> {
        let (at, constructs) = self.partition_key.as_ref()?;
        if !chance.one_in(10) {
            return None;
        }
        Some((*chance.pick(constructs)?, self.sites.get(*at)?))
    }

    /// A place for one of the constructs that are listed without an operand.
    fn some_site(&self, chance: &mut Chance, construct: Construct) -> Option<(Construct, &Site)> {
        let like = match construct {
            Construct::InLong => Construct::In,
            _ => Construct::Ordering,
        };
        let (_, operands) = self.by_construct.iter().find(|(other, _)| *other == like)?;
        let operand = *chance.pick(operands)?;
        Some((construct, self.site(chance, operand)?))
    }

    /// A single predicate that the dialect accepts; selective and defined, if a few attempts find
    /// such a one.
    fn term(&self, chance: &mut Chance) -> Term {
        for _ in 0..12 {
            let constants = self.dialect.has(Construct::ConstantPredicate) && chance.permille(10);
            if constants {
                let expr = self.terms(chance).constants();
                if let truths @ Some(_) = self.truths(&expr) {
                    return Term { expr, truths };
                }
            }
            let chosen = match chance.below(1000) {
                0..3 if self.dialect.has(Construct::InLong) => {
                    self.some_site(chance, Construct::InLong)
                }
                3..7 if self.dialect.has(Construct::LeastInteger) => {
                    self.some_site(chance, Construct::LeastInteger)
                }
                _ => self.choose(chance),
            };
            let Some((construct, site)) = chosen else { continue };
            // What is undefined proves nothing, but must not be unheard of either.
            let undefined = chance.permille(5);
            let mut found = None;
            for _ in 0..6 {
                let Some(expr) = self.terms(chance).propose(construct, site) else { break };
                if check(self.schema(), &expr).is_err() || !self.accepts(&expr) {
                    continue;
                }
                let truths = self.truths(&expr);
                if truths.is_none() && !undefined {
                    continue;
                }
                let term = Term { expr, truths };
                if term.is_selective() || construct == Construct::InLong {
                    return term;
                }
                found = Some(term);
            }
            if let Some(term) = found {
                return term;
            }
        }
        self.last_resort(chance)
    }

    /// Any predicate that the dialect accepts, defined or not: of a key that the engine assigns
    /// nothing is known.
    fn last_resort(&self, chance: &mut Chance) -> Term {
        for _ in 0..200 {
            if !self.schema().primary().auto_id {
                break;
            }
            let Some((construct, site)) = self.choose(chance) else { continue };
            let Some(expr) = self.terms(chance).propose(construct, site) else { continue };
            if check(self.schema(), &expr).is_ok() && self.accepts(&expr) {
                let truths = self.truths(&expr);
                return Term { expr, truths };
            }
        }
        self.key_term()
    }

    /// A predicate that every engine has: a comparison of the key with a constant.
    fn key_term(&self) -> Term {
        let key = &self.schema().primary().name;
        let literal = if self.schema().primary().data_type.to_string() == "VARCHAR" {
            Literal::Text("a".to_owned())
        } else {
            Literal::Int(1)
        };
        let expr = Expr::binary(Expr::field(key), BinaryOp::Gt, Expr::Literal(literal));
        let truths = self.truths(&expr);
        Term { expr, truths }
    }

    fn accepts(&self, expr: &Expr) -> bool {
        let mut all = true;
        for_each_cell(self.schema(), expr, |cell| {
            all &= self.accepted.get(&cell).unwrap_or_else(|| self.dialect.accepts(&cell));
        });
        all
    }

    /// The truth on each row; `None` if some of them is undefined.
    fn truths(&self, expr: &Expr) -> Option<Truths> {
        self.columns.defined(expr)
    }

    /// Two predicates joined so that the result is selective, if either way makes it so.
    fn join(&self, chance: &mut Chance, left: Term, right: Term) -> Term {
        let ops = match chance.one_in(2) {
            true => [BinaryOp::And, BinaryOp::Or],
            false => [BinaryOp::Or, BinaryOp::And],
        };
        let first = left.joined(ops[0], &right);
        if selects(first.as_ref()) {
            left.with(ops[0], right, first)
        } else {
            left.join(ops[1], right)
        }
    }

    /// A tree with so many predicates, nested at most so deep.
    fn tree(&self, chance: &mut Chance, leaves: usize, depth: usize) -> Term {
        let term = if leaves <= 1 || depth == 0 {
            self.term(chance)
        } else {
            let left = chance.within(1, leaves - 1);
            let (left, right) =
                (self.tree(chance, left, depth - 1), self.tree(chance, leaves - left, depth - 1));
            self.join(chance, left, right)
        };
        if depth > 0 && self.dialect.has(Construct::Negation) && chance.one_in(6) {
            term.not()
        } else {
            term
        }
    }

    /// Predicates nested deep within each other.
    fn deep(&self, chance: &mut Chance) -> Term {
        let mut term = self.term(chance);
        // One after the other, so that no operator joins a chain.
        let mut and = chance.one_in(2);
        for _ in 0..chance.within(DEEP, self.depth.max(DEEP)) {
            if self.dialect.has(Construct::Negation) && chance.one_in(3) {
                term = term.not();
                continue;
            }
            let op = if and { BinaryOp::And } else { BinaryOp::Or };
            and = !and;
            let other = self.term(chance);
            let truths = term.joined(op, &other);
            term = if selects(truths.as_ref()) {
                term.with(op, other, truths)
            } else {
                // Some other predicate may leave more to tell.
                term.join(op, self.term(chance))
            };
        }
        term
    }

    /// Many predicates in a row, joined by one operator.
    fn long(&self, chance: &mut Chance) -> Term {
        let op = if chance.one_in(2) { BinaryOp::And } else { BinaryOp::Or };
        let mut term = self.term(chance);
        for _ in 1..chance.within(*LONG.start(), *LONG.end()) {
            let mut other = self.term(chance);
            let mut truths = term.joined(op, &other);
            for _ in 0..3 {
                if selects(truths.as_ref()) {
                    break;
                }
                other = self.term(chance);
                truths = term.joined(op, &other);
            }
            term = term.with(op, other, truths);
        }
        term
    }

    /// The filter itself if it is selective; else, most of the time, with a predicate more that
    /// makes it so.
    fn sharpened(&self, chance: &mut Chance, term: Term) -> Term {
        if term.truths.is_none() || term.is_selective() || chance.one_in(4) {
            return term;
        }
        let op = if term.is_total() { BinaryOp::And } else { BinaryOp::Or };
        for _ in 0..4 {
            let other = self.term(chance);
            let truths = term.joined(op, &other);
            if selects(truths.as_ref()) {
                return term.with(op, other, truths);
            }
        }
        term
    }

    /// The filter as people write it, or in one of the ways that the dialect has besides.
    fn spelled(&self, chance: &mut Chance, expr: Expr) -> Filter {
        let mut spelling = Spelling::default();
        if chance.permille(300)
            && let Some(other) = chance.pick(&self.spellings)
        {
            spelling = *other;
            if chance.one_in(4)
                && let Some(Spelling { quotes: Quotes::Single, .. }) = chance.pick(&self.spellings)
            {
                spelling.quotes = Quotes::Single;
            }
        }
        Filter { expr, spelling }.normalised()
    }
}

const SPELLINGS: [Construct; 9] = [
    Construct::UpperCase,
    Construct::Symbols,
    Construct::SingleQuotes,
    Construct::Hexadecimal,
    Construct::Octal,
    Construct::Binary,
    Construct::Exponent,
    Construct::UnicodeEscape,
    Construct::RawString,
];

fn spelling_of(construct: Construct) -> Option<Spelling> {
    let plain = Spelling::default();
    Some(match construct {
        Construct::UpperCase => Spelling { words: Words::Upper, ..plain },
        Construct::Symbols => Spelling { words: Words::Symbols, ..plain },
        Construct::SingleQuotes => Spelling { quotes: Quotes::Single, ..plain },
        Construct::Hexadecimal => Spelling { radix: Radix::Hexadecimal, ..plain },
        Construct::Octal => Spelling { radix: Radix::Octal, ..plain },
        Construct::Binary => Spelling { radix: Radix::Binary, ..plain },
        Construct::Exponent => Spelling { floats: Floats::Exponent, ..plain },
        Construct::UnicodeEscape => Spelling { strings: Strings::Unicode, ..plain },
        Construct::RawString => Spelling { strings: Strings::Raw, ..plain },
        _ => return None,
    })
}

/// What filters consist of in practice.
fn is_common(construct: Construct) -> bool {
    use Construct::*;
    matches!(
        construct,
        Equality
            | Ordering
            | RangeAscending
            | In
            | NotIn
            | LikePrefix
            | LikeInfix
            | Add
            | Multiply
            | Divide
            | Modulo
            | Exists
            | IsNull
            | ArrayLength
            | ArrayContains
            | ArrayContainsAll
            | ArrayContainsAny
            | JsonContains
            | JsonContainsAll
            | JsonContainsAny
    )
}
