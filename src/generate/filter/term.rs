//! One predicate for one cell of the grammar.
//!
//! What is proposed here need not be well-typed, defined or selective: whoever asks checks that,
//! and asks again.

use super::Chance;
use super::site::{Boundaries, Site};
use crate::filter::fold::constant;
use crate::filter::grammar::{Construct, Kind};
use crate::filter::{BinaryOp, Bound, Expr, FieldPath, Function, Literal, UnaryOp};
use crate::schema::Scalar;

/// What terms are made of.
pub(super) struct Terms<'a> {
    pub chance: &'a mut Chance,
    pub sites: &'a [Site],
    pub boundaries: &'a Boundaries,
}

const EQUALITIES: [BinaryOp; 2] = [BinaryOp::Eq, BinaryOp::Ne];
const ORDERINGS: [BinaryOp; 4] = [BinaryOp::Lt, BinaryOp::Le, BinaryOp::Gt, BinaryOp::Ge];

impl<'a> Terms<'a> {
    /// A predicate with this construct on this site, if there is one.
    pub fn propose(&mut self, construct: Construct, site: &Site) -> Option<Expr> {
        let expr = self.alone(construct, site)?;
        match &site.array {
            None => Some(expr),
            Some(array) => Some(self.of_some_elements(array, expr)),
        }
    }

    /// The same on members of structs without what is asked of the array.
    pub(super) fn alone(&mut self, construct: Construct, site: &Site) -> Option<Expr> {
        use Construct::*;
        let field = || Expr::Field(site.path.clone());
        Some(match construct {
            Equality => self.compared(field(), &EQUALITIES, site, false),
            Ordering => self.compared(field(), &ORDERINGS, site, false),
            ReversedEquality => self.compared(field(), &EQUALITIES, site, true),
            ReversedOrdering => self.compared(field(), &ORDERINGS, site, true),
            RangeAscending | RangeDescending | RangeIntForFloat => self.range(construct, site),
            In | NotIn | InEmpty | InIntForFloat | InLong => {
                let list = self.list(construct, site);
                let negated = construct == NotIn || construct != In && self.chance.one_in(2);
                Expr::In { operand: Box::new(field()), list, negated }
            }
            ComputedIn => {
                let (operand, _) = self.computed(site, None);
                let some = (0..self.chance.within(1, 4)).map(|_| self.target(&operand, site));
                let list = some.collect();
                Expr::In { operand: Box::new(operand), list, negated: self.chance.one_in(2) }
            }
            LikePrefix | LikeSuffix | LikeInfix | LikeExact | LikeUnderscore | LikeEscape
            | LikeEmpty | LikePercent => {
                let pattern = self.pattern(construct, site);
                Expr::Like { operand: Box::new(field()), pattern }
            }
            Add | OrderedAdd | Subtract | OrderedSubtract | Multiply | OrderedMultiply | Divide
            | OrderedDivide | Modulo | OrderedModulo | BitAnd | BitOr | BitXor => {
                let (op, ops) = match construct {
                    Add => (BinaryOp::Add, &EQUALITIES[..]),
                    OrderedAdd => (BinaryOp::Add, &ORDERINGS[..]),
                    Subtract => (BinaryOp::Sub, &EQUALITIES[..]),
                    OrderedSubtract => (BinaryOp::Sub, &ORDERINGS[..]),
                    Multiply => (BinaryOp::Mul, &EQUALITIES[..]),
                    OrderedMultiply => (BinaryOp::Mul, &ORDERINGS[..]),
                    Divide => (BinaryOp::Div, &EQUALITIES[..]),
                    OrderedDivide => (BinaryOp::Div, &ORDERINGS[..]),
                    Modulo => (BinaryOp::Mod, &EQUALITIES[..]),
                    OrderedModulo => (BinaryOp::Mod, &ORDERINGS[..]),
                    BitAnd => (BinaryOp::BitAnd, &BinaryOp::COMPARISONS[..]),
                    BitOr => (BinaryOp::BitOr, &BinaryOp::COMPARISONS[..]),
                    _ => (BinaryOp::BitXor, &BinaryOp::COMPARISONS[..]),
                };
                let (operand, literal) = self.computed(site, Some(op));
                let op = *self.chance.pick(ops)?;
                Expr::binary(operand, op, Expr::Literal(literal))
            }
            CommutedArithmetic | ConstantLeft => {
                let op = match (construct, self.chance.one_in(2)) {
                    (CommutedArithmetic, true) => BinaryOp::Add,
                    (CommutedArithmetic, false) => BinaryOp::Mul,
                    (_, true) => BinaryOp::Sub,
                    (_, false) => BinaryOp::Div,
                };
                let constant = self.constant_for(site, op);
                let operand = Expr::binary(Expr::Literal(constant), op, field());
                self.against(operand, site)
            }
            NestedArithmetic => {
                let (inner, _) = self.computed(site, None);
                let op = self.arithmetic_op(site);
                let constant = Expr::Literal(self.constant_for(site, op));
                let operand = Expr::binary(inner, op, constant);
                self.against(operand, site)
            }
            ColumnArithmetic => {
                let number = |other: &Site| Construct::ColumnArithmetic.fits(Some(other.operand));
                let partner = self.partner(site, number)?;
                let op = self.chance.one_of([BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul]);
                let operand = Expr::binary(field(), op, Expr::Field(partner.path.clone()));
                let real = if is_real(partner) { partner } else { site };
                self.against(operand, real)
            }
            ConstantFolding | Power => {
                let folded = self.folding(construct == Power, site);
                Expr::binary(field(), self.chance.one_of(BinaryOp::COMPARISONS), folded)
            }
            BitNot => {
                let operand = Expr::Unary { op: UnaryOp::BitNot, operand: Box::new(field()) };
                self.against(operand, site)
            }
            UnaryMinus => {
                let operand = Expr::Unary { op: UnaryOp::Negate, operand: Box::new(field()) };
                self.against(operand, site)
            }
            CompareSame | CompareInts | CompareIntFloat | CompareIntDouble | CompareFloatDouble
            | CompareComputed => self.columns(construct, site)?,
            BareBool => field(),
            Exists => Expr::Exists(site.path.clone()),
            IsNull | IsNotNull => {
                Expr::IsNull { operand: site.path.clone(), negated: construct == IsNotNull }
            }
            ArrayLength | OrderedArrayLength | InArrayLength | ComputedArrayLength => {
                self.length(construct, site)
            }
            ArrayContains | ArrayContainsAll | ArrayContainsAny | JsonContains
            | JsonContainsAll | JsonContainsAny | ContainsNegative | ContainsNested
            | ContainsNestedList | ContainsEmpty => self.contains(construct, site),
            ArrayEquality | ArrayEqualityEmpty => {
                // Milvus may tell 1 and 1.0 apart in them.
                let doubles = |items: &&Vec<Literal>| items.iter().any(is_integral_double);
                let doubles: Vec<_> = site.arrays.iter().filter(doubles).cloned().collect();
                let arrays = match doubles.is_empty() || self.chance.one_in(2) {
                    true => &site.arrays,
                    false => &doubles,
                };
                let items = match self.chance.pick(arrays) {
                    _ if construct == ArrayEqualityEmpty => Vec::new(),
                    Some(items) if !self.chance.one_in(4) => items.clone(),
                    _ => (0..self.chance.within(1, 3)).map(|_| self.literal(site)).collect(),
                };
                // What is written as a double may be asked for as an integer.
                let integral = site.is_json() && self.chance.one_in(2);
                let items = items.into_iter().map(|item| match item {
                    Literal::Float(x) if integral && is_integral_double(&item) => {
                        Literal::Int(x as i64)
                    }
                    item => item,
                });
                let items = items.collect();
                let op = self.chance.one_of(EQUALITIES);
                Expr::binary(field(), op, Expr::Literal(Literal::List(items)))
            }
            TextMatch | TextMatchMinimum | PhraseMatch => self.words(construct, site),
            SpatialContains | SpatialWithin | SpatialIntersects | SpatialEquals
            | SpatialBoundary | SpatialDistance | SpatialValid => self.spatial(construct, site),
            Timestamp | TimestampReversed | TimestampInterval | TimestampIntervalMonths => {
                self.time(construct, site)
            }
            ElementFilter | ElementAny | ElementAll | ElementLeast | ElementMost | ElementExact => {
                self.elements(construct, site)?
            }
            LeastInteger => {
                let op = self.chance.one_of(BinaryOp::COMPARISONS);
                Expr::binary(field(), op, Expr::Literal(Literal::Int(i64::MIN)))
            }
            _ => return None,
        })
    }

    /// A predicate of constants alone.
    pub fn constants(&mut self) -> Expr {
        let (a, b) = match self.chance.below(5) {
            0 => return Expr::Literal(Literal::Bool(self.chance.one_in(2))),
            1 => (Literal::Text("a".to_owned()), Literal::Text("b".to_owned())),
            2 => (Literal::Float(1.5), Literal::Int(1)),
            3 => (Literal::Bool(true), Literal::Bool(false)),
            _ => (Literal::Int(1), Literal::Int(1)),
        };
        let op = self.chance.one_of(BinaryOp::COMPARISONS);
        Expr::binary(Expr::Literal(a), op, Expr::Literal(b))
    }

    /// A literal for a site or the elements in it: half from the rows, half boundaries.
    pub fn literal(&mut self, site: &Site) -> Literal {
        let found = match self.chance.one_in(2) {
            true => self.chance.pick(&site.values).cloned(),
            false => None,
        };
        found.unwrap_or_else(|| self.boundaries.pick(self.chance, site.scalar()))
    }

    /// Another literal that may stand beside this one.
    fn alike(&mut self, site: &Site, literal: &Literal) -> Literal {
        let kind = std::mem::discriminant(literal);
        let alike = |other: &Literal| std::mem::discriminant(other) == kind;
        for _ in 0..8 {
            let other = self.literal(site);
            if alike(&other) {
                return other;
            }
        }
        literal.clone()
    }

    fn compared(&mut self, operand: Expr, ops: &[BinaryOp], site: &Site, reversed: bool) -> Expr {
        let op = self.chance.pick(ops).copied().unwrap_or(BinaryOp::Eq);
        let literal = match is_real(site) && self.chance.one_in(6) {
            true => self.int_for_real(site),
            false => self.literal(site),
        };
        let literal = Expr::Literal(literal);
        if reversed {
            Expr::binary(literal, op, operand)
        } else {
            Expr::binary(operand, op, literal)
        }
    }

    fn small_int(&mut self) -> Literal {
        Literal::Int(self.chance.within(0, 12) as i64 - 4)
    }

    /// An integer to compare with a number that is none: where doubles are further apart than
    /// integers, one that is next to a value.
    fn int_for_real(&mut self, site: &Site) -> Literal {
        const EXACT: f64 = (1u64 << 53) as f64;
        let large = site.values.iter().filter_map(|value| match value {
            Literal::Float(x) if x.abs() >= EXACT && x.abs() < 9e18 => Some(*x as i64),
            _ => None,
        });
        let large: Vec<i64> = large.collect();
        match self.chance.pick(&large) {
            Some(near) if self.chance.one_in(2) => {
                Literal::Int(near + self.chance.one_of([-1, 0, 1]))
            }
            _ => self.small_int(),
        }
    }

    fn range(&mut self, construct: Construct, site: &Site) -> Expr {
        let low = self.literal(site);
        let high = match construct {
            Construct::RangeIntForFloat => self.small_int(),
            _ => self.alike(site, &low),
        };
        let number = |literal: &Literal| match literal {
            Literal::Int(i) => *i as f64,
            Literal::Float(x) => *x,
            _ => 0.0,
        };
        let ordered = match (&low, &high) {
            (Literal::Text(a), Literal::Text(b)) => a.as_bytes() <= b.as_bytes(),
            (Literal::Int(a), Literal::Int(b)) => a <= b,
            (a, b) => number(a) <= number(b),
        };
        let (low, high) = if ordered { (low, high) } else { (high, low) };
        let equal = low == high;
        let mut bound = |value| Bound { value, inclusive: equal || self.chance.one_in(2) };
        let (low, high) = (bound(low), bound(high));
        let descending = match construct {
            Construct::RangeAscending => false,
            Construct::RangeDescending => true,
            _ => self.chance.one_in(2),
        };
        Expr::Range { operand: site.path.clone(), low, high, descending }
    }

    fn list(&mut self, construct: Construct, site: &Site) -> Vec<Literal> {
        let count = match construct {
            Construct::InEmpty => return Vec::new(),
            // As many lists of hundreds as of thousands.
            Construct::InLong => {
                let most = self.chance.one_of([200, 500, 1000, 2000, 5000, 10_000]);
                self.chance.within(101, most)
            }
            _ => self.chance.within(1, 5),
        };
        let first = self.literal(site);
        let mut list = vec![first.clone()];
        while list.len() < count {
            // A long list of few values would be a short one, said often.
            let spread = list.len() > 50 && !self.chance.one_in(4);
            list.push(match &first {
                Literal::Int(_) if spread => Literal::Int(self.chance.below(1 << 20) as i64),
                Literal::Float(_) if spread => {
                    Literal::Float(self.chance.below(1 << 20) as f64 / 4.0)
                }
                Literal::Text(_) if spread => Literal::Text(format!("t{}", list.len())),
                first => self.alike(site, first),
            });
        }
        if construct == Construct::InIntForFloat {
            let at = self.chance.below(list.len());
            list[at] = self.small_int();
        }
        list
    }

    fn pattern(&mut self, construct: Construct, site: &Site) -> String {
        use Construct::*;
        let special = |text: &str| text.contains(['%', '_', '\\']);
        let specials = site.values.iter().filter(|value| match value {
            Literal::Text(text) => special(text),
            _ => false,
        });
        let literal = match construct == LikeEscape && self.chance.one_in(2) {
            true => self.chance.pick(&specials.collect::<Vec<_>>()).copied().cloned(),
            false => None,
        };
        let text = match literal.unwrap_or_else(|| self.literal(site)) {
            Literal::Text(text) => text,
            _ => match self.boundaries.pick(self.chance, Some(Scalar::VarChar)) {
                Literal::Text(text) => text,
                _ => String::new(),
            },
        };
        // What may be escaped is, half of the time; else it is left out.
        let escaped = construct == LikeEscape || self.chance.one_in(2);
        let plain = |part: &str| {
            if escaped { escape(part) } else { part.replace(['%', '_', '\\'], "") }
        };
        let part = |chance: &mut Chance, text: &str| {
            let from = chance.below(4);
            let part: String = text.chars().skip(from).take(1 + chance.below(4)).collect();
            if part.is_empty() { "a".to_owned() } else { part }
        };
        let start = |chance: &mut Chance, text: &str| {
            let start: String = text.chars().take(1 + chance.below(3)).collect();
            if start.is_empty() { "a".to_owned() } else { start }
        };
        let end = |chance: &mut Chance, text: &str| {
            let skip = text.chars().count().saturating_sub(1 + chance.below(3));
            let end: String = text.chars().skip(skip).collect();
            if end.is_empty() { "a".to_owned() } else { end }
        };
        match construct {
            LikeEmpty => String::new(),
            LikePercent => self.chance.one_of(["%", "%", "%%"]).to_owned(),
            LikePrefix => format!("{}%", plain(&start(self.chance, &text))),
            LikeSuffix => format!("%{}", plain(&end(self.chance, &text))),
            LikeInfix if self.chance.one_in(2) => {
                let (start, end) = (start(self.chance, &text), end(self.chance, &text));
                format!("{}%{}", plain(&start), plain(&end))
            }
            LikeInfix => format!("%{}%", plain(&part(self.chance, &text))),
            LikeExact => plain(&text),
            LikeEscape => {
                let other = self.chance.one_of(["%", "_", "\\"]);
                let text = if special(&text) { text } else { text + other };
                let (head, tail) = self.chance.one_of([("", ""), ("", "%"), ("%", ""), ("%", "%")]);
                format!("{head}{}{tail}", escape(&text))
            }
            // One character of the text replaced by the wildcard for one.
            _ => {
                let at = self.chance.below(text.chars().count().min(4));
                let tail = self.chance.one_of(["", "", "", "%"]);
                let one = |(i, c): (usize, char)| {
                    if i == at { "_".to_owned() } else { plain(&c.to_string()) }
                };
                let pattern: String = text.chars().enumerate().map(one).collect();
                if pattern.is_empty() { "_%".to_owned() } else { pattern + tail }
            }
        }
    }

    fn arithmetic_op(&mut self, site: &Site) -> BinaryOp {
        let integer = site.scalar().is_some_and(|scalar| scalar.int_range().is_some());
        use BinaryOp::*;
        if integer {
            self.chance.one_of([Add, Sub, Mul, Div, Mod])
        } else {
            self.chance.one_of([Add, Sub, Mul, Div])
        }
    }

    /// A constant for arithmetic on a site, never a divisor of zero.
    fn constant_for(&mut self, site: &Site, op: BinaryOp) -> Literal {
        let int = match site.scalar() {
            Some(scalar) => scalar.int_range().is_some(),
            None => op == BinaryOp::Mod || !self.chance.one_in(3),
        };
        match (int, op) {
            (true, BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor) => {
                Literal::Int(self.chance.one_of([1, 2, 3, 4, 7, 255, 1 << 40, -1, 0]))
            }
            (true, BinaryOp::Div | BinaryOp::Mod) => {
                Literal::Int(self.chance.one_of([1, 2, 3, 7, 10, -2, -3]))
            }
            (true, BinaryOp::Mul) => Literal::Int(self.chance.one_of([0, 1, 2, 3, -1, -2, 10])),
            (true, _) => Literal::Int(self.chance.one_of([0, 1, 2, 3, 7, 100, -1, -2])),
            (false, BinaryOp::Div | BinaryOp::Mul) => {
                Literal::Float(self.chance.one_of([1.0, 2.0, 0.5, 0.1, 3.0, -2.0]))
            }
            (false, _) => Literal::Float(self.chance.one_of([0.0, 1.0, 0.5, 0.1, 3.0, -2.5])),
        }
    }

    /// Arithmetic of a site with a constant, and a literal near what it comes to.
    fn computed(&mut self, site: &Site, op: Option<BinaryOp>) -> (Expr, Literal) {
        let op = op.unwrap_or_else(|| self.arithmetic_op(site));
        let constant = self.constant_for(site, op);
        let field = Expr::Field(site.path.clone());
        let operand = Expr::binary(field, op, Expr::Literal(constant));
        let target = self.target(&operand, site);
        (operand, target)
    }

    /// An operand compared with a literal near what it comes to.
    fn against(&mut self, operand: Expr, site: &Site) -> Expr {
        let literal = self.target(&operand, site);
        Expr::binary(operand, self.chance.one_of(BinaryOp::COMPARISONS), Expr::Literal(literal))
    }

    /// What an operand comes to on some row, or any literal of the site.
    fn target(&mut self, operand: &Expr, site: &Site) -> Literal {
        let literal = if self.chance.one_in(3) {
            self.literal(site)
        } else {
            let value = self.literal(site);
            let folded = constant(&with_value(operand, &value)).ok().flatten();
            folded.unwrap_or(value)
        };
        // In JSON the constants must be of one kind; an integer takes integers only.
        let mut integral = site.scalar().is_some_and(|scalar| scalar.int_range().is_some());
        if site.is_json() {
            operand.for_each_literal(&mut |literal| integral |= matches!(literal, Literal::Int(_)));
        }
        match literal {
            Literal::Float(x) if integral => Literal::Int(x as i64),
            Literal::Int(i) if !integral => Literal::Float(i as f64),
            Literal::Bool(_) | Literal::Text(_) if integral => self.small_int(),
            Literal::Bool(_) | Literal::Text(_) => Literal::Float(1.5),
            literal => literal,
        }
    }

    /// Constants whose arithmetic comes to something near the site.
    fn folding(&mut self, power: bool, site: &Site) -> Expr {
        let binary = |a, op, b| Expr::binary(Expr::Literal(a), op, Expr::Literal(b));
        if power {
            let bases = [(2.0, 3.0), (10.0, 2.0), (0.5, 2.0), (2.0, -1.0), (2.0, 0.0)];
            let (base, exponent) = self.chance.one_of(bases);
            return match self.chance.one_in(2) && base >= 1.0 && exponent >= 0.0 {
                true => {
                    let (base, exponent) = (base as i64, exponent as i64);
                    binary(Literal::Int(base), BinaryOp::Pow, Literal::Int(exponent))
                }
                false => binary(Literal::Float(base), BinaryOp::Pow, Literal::Float(exponent)),
            };
        }
        let value = match self.literal(site) {
            number @ (Literal::Int(_) | Literal::Float(_)) => number,
            _ => Literal::Int(3),
        };
        match value {
            Literal::Int(i) => match self.chance.below(4) {
                0 => binary(Literal::Int(i), BinaryOp::Mul, Literal::Int(1)),
                1 => binary(Literal::Int(7), BinaryOp::Div, Literal::Int(2)),
                2 => binary(Literal::Int(i.saturating_add(2)), BinaryOp::Sub, Literal::Int(2)),
                _ => binary(Literal::Int(i.saturating_sub(1)), BinaryOp::Add, Literal::Int(1)),
            },
            Literal::Float(x) => match self.chance.below(3) {
                0 => binary(Literal::Float(x), BinaryOp::Mul, Literal::Float(1.0)),
                1 => binary(Literal::Float(x * 0.5), BinaryOp::Div, Literal::Float(0.5)),
                _ => binary(Literal::Float(x - 1.0), BinaryOp::Add, Literal::Float(1.0)),
            },
            other => Expr::Literal(other),
        }
    }

    /// Another site that fits, or the same one: where there is no other, and now and then.
    fn partner(&mut self, site: &Site, fits: impl Fn(&Site) -> bool) -> Option<&'a Site> {
        let same = self.chance.one_in(6);
        let others: Vec<&Site> = self
            .sites
            .iter()
            .filter(|other| !same && other.path != site.path && fits(other))
            .collect();
        match self.chance.pick(&others) {
            Some(other) => Some(other),
            None => self.sites.iter().find(|other| other.path == site.path && fits(other)),
        }
    }

    fn columns(&mut self, construct: Construct, site: &Site) -> Option<Expr> {
        if site.operand.kind == Kind::Timestamp {
            let other = self.partner(site, |other| other.operand.kind == Kind::Timestamp)?;
            let (left, right) = (site.path.clone(), other.path.clone());
            let op = self.chance.one_of(BinaryOp::COMPARISONS);
            return Some(Expr::binary(Expr::Field(left), op, Expr::Field(right)));
        }
        let int = |scalar: Scalar| scalar.int_range().is_some();
        let own = site.scalar()?;
        let suits = |other: &Site| {
            let Kind::Column(scalar) = other.operand.kind else { return false };
            match construct {
                Construct::CompareSame => scalar == own,
                Construct::CompareComputed => construct.fits(Some(other.operand)),
                Construct::CompareInts => int(scalar) && scalar != own,
                Construct::CompareIntFloat if int(own) => scalar == Scalar::Float,
                Construct::CompareIntDouble if int(own) => scalar == Scalar::Double,
                Construct::CompareFloatDouble if own == Scalar::Float => scalar == Scalar::Double,
                Construct::CompareFloatDouble => scalar == Scalar::Float,
                _ => int(scalar),
            }
        };
        let partner = Expr::Field(self.partner(site, suits)?.path.clone());
        let mut sides = [Expr::Field(site.path.clone()), partner];
        if construct == Construct::CompareComputed {
            sides[0] = self.computed(site, None).0;
        }
        if self.chance.one_in(2) {
            sides.reverse();
        }
        let [left, right] = sides;
        Some(Expr::binary(left, self.chance.one_of(BinaryOp::COMPARISONS), right))
    }

    fn length(&mut self, construct: Construct, site: &Site) -> Expr {
        let (function, operand) = (Function::ArrayLength, site.path.clone());
        let length = Expr::Call { function, operand, arguments: Vec::new() };
        let some = |chance: &mut Chance| {
            let found = chance.pick(&site.arrays).map(Vec::len);
            let length = found.filter(|_| !chance.one_in(3));
            Literal::Int(length.unwrap_or_else(|| chance.below(5)) as i64)
        };
        let literal = some(self.chance);
        let (operand, op) = match construct {
            Construct::InArrayLength => {
                let list = vec![literal, some(self.chance)];
                let negated = self.chance.one_in(2);
                return Expr::In { operand: Box::new(length), list, negated };
            }
            Construct::ComputedArrayLength => {
                let constant = Expr::Literal(Literal::Int(self.chance.one_of([1, 2, -1])));
                let op = self.chance.one_of([BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul]);
                let computed = Expr::binary(length, op, constant);
                (computed, self.chance.one_of(BinaryOp::COMPARISONS))
            }
            Construct::ArrayLength => (length, self.chance.one_of(EQUALITIES)),
            _ => (length, self.chance.one_of(ORDERINGS)),
        };
        Expr::binary(operand, op, Expr::Literal(literal))
    }

    fn contains(&mut self, construct: Construct, site: &Site) -> Expr {
        use Construct::*;
        // What is found in the arrays there, where it is known.
        let element = |terms: &mut Self| {
            let array = terms.chance.pick(&site.arrays).cloned().unwrap_or_default();
            match terms.chance.pick(&array).cloned() {
                Some(found) if !terms.chance.one_in(3) => found,
                _ if is_real(site) && terms.chance.one_in(4) => terms.small_int(),
                _ => terms.literal(site),
            }
        };
        let (one, all, any) = match site.is_array() {
            true => {
                (Function::ArrayContains, Function::ArrayContainsAll, Function::ArrayContainsAny)
            }
            false => (Function::JsonContains, Function::JsonContainsAll, Function::JsonContainsAny),
        };
        let (function, argument) = match construct {
            ContainsNegative => {
                let negative = match element(self) {
                    Literal::Float(x) if x != 0.0 => Literal::Float(-x.abs()),
                    Literal::Float(_) => Literal::Float(-1.0),
                    Literal::Int(i) => Literal::Int(if i < 0 { i } else { -1 }),
                    _ => Literal::Int(-1),
                };
                (one, negative)
            }
            ContainsNested => {
                let list = (0..self.chance.below(3)).map(|_| element(self)).collect();
                (one, Literal::List(list))
            }
            ContainsNestedList => {
                let nested =
                    Literal::List((0..self.chance.below(3)).map(|_| element(self)).collect());
                let list = vec![nested, element(self)];
                (if self.chance.one_in(2) { all } else { any }, Literal::List(list))
            }
            ContainsEmpty => {
                (if self.chance.one_in(2) { all } else { any }, Literal::List(Vec::new()))
            }
            ArrayContains | JsonContains => {
                let positive = match element(self) {
                    Literal::Int(i) => Literal::Int(i.checked_abs().unwrap_or(i64::MAX)),
                    Literal::Float(x) => Literal::Float(x.abs()),
                    other => other,
                };
                (one, positive)
            }
            _ => {
                let list = (0..self.chance.within(1, 3)).map(|_| element(self)).collect();
                let function = match construct {
                    ArrayContainsAll | JsonContainsAll => all,
                    _ => any,
                };
                (function, Literal::List(list))
            }
        };
        Expr::Call { function, operand: site.path.clone(), arguments: vec![argument] }
    }

    fn words(&mut self, construct: Construct, site: &Site) -> Expr {
        let mut words = Vec::new();
        for _ in 0..self.chance.within(1, 2) {
            words.push(match self.literal(site) {
                Literal::Text(text)
                    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric()) =>
                {
                    text
                }
                _ => self.chance.one_of(["a", "b", "abc", "1"]).to_owned(),
            });
        }
        let mut arguments = vec![Literal::Text(words.join(" "))];
        let function = match construct {
            Construct::PhraseMatch => Function::PhraseMatch,
            _ => Function::TextMatch,
        };
        if construct == Construct::TextMatchMinimum {
            words.sort();
            words.dedup();
            arguments.push(Literal::Int(self.chance.within(1, words.len()) as i64));
        }
        Expr::Call { function, operand: site.path.clone(), arguments }
    }
}

fn is_integral_double(literal: &Literal) -> bool {
    matches!(literal, Literal::Float(x) if x.fract() == 0.0 && x.abs() < 1e9)
}

fn is_real(site: &Site) -> bool {
    matches!(site.scalar(), Some(Scalar::Float | Scalar::Double))
}

/// An operand with a constant in the place of each path.
fn with_value(operand: &Expr, value: &Literal) -> Expr {
    let mut with = operand.clone();
    fn replace(expr: &mut Expr, value: &Literal) {
        if let Expr::Field(FieldPath { .. }) = expr {
            *expr = Expr::Literal(value.clone());
        }
        for child in expr.children_mut() {
            replace(child, value);
        }
    }
    replace(&mut with, value);
    with
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
