//! From a filter to loops: what does not depend on the row is found out here, once.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use super::Columns;
use super::kernel::{
    FALSE, Kernel, OPEN, TRUE, UNKNOWN, VALID, Values, and, any_each, arithmetic, coded, compare,
    constantly, each, holds, joined, not, ordered, steady,
};
use super::store::Column;
use crate::filter::ast::{Expr, FieldPath, Interval, Literal};
use crate::filter::check::{Place, resolve};
use crate::filter::eval::compare::divides;
use crate::filter::eval::operand::{
    Operand, as_f32, as_f64, double_arithmetic, element, float_arithmetic, integers, is_hollow,
};
use crate::filter::eval::{Evaluator, Truth};
use crate::filter::fold::folded;
use crate::filter::like::Pattern;
use crate::filter::operator::{BinaryOp, Function, Quantifier, UnaryOp};
use crate::filter::semantics::Semantics;
use crate::filter::{text, time};
use crate::value::Row;

impl Columns<'_> {
    /// The loop for a predicate, or, if it has none, the row evaluator on each row.
    pub(super) fn kernel<'c>(&'c self, expr: &'c Expr) -> Kernel<'c> {
        self.fast(expr).unwrap_or_else(|| {
            Box::new(move |range, out| {
                for (out, row) in out.iter_mut().zip(range) {
                    let truth = self.rows.get(row).map(|row| self.evaluator(row).truth(expr));
                    *out = truth.and_then(Result::ok).map_or(OPEN, coded);
                }
            })
        })
    }

    fn evaluator<'c>(&'c self, row: &'c Row) -> Evaluator<'c> {
        Evaluator { schema: &self.schema, row, semantics: Semantics::canonical() }
    }

    /// The loop for a predicate, if it has one.
    fn fast<'c>(&'c self, expr: &'c Expr) -> Option<Kernel<'c>> {
        match expr {
            Expr::Literal(Literal::Bool(b)) => Some(constantly(holds(*b))),
            Expr::Field(path) => match self.place(path)? {
                Values::Bool(source) => Some(each(source, holds)),
                _ => None,
            },
            Expr::Not(inner) => {
                let inner = self.kernel(inner);
                Some(Box::new(move |range, out| {
                    inner(range, out);
                    for code in out {
                        *code = not(*code);
                    }
                }))
            }
            Expr::Binary { op: BinaryOp::And, left, right } => {
                Some(joined(self.kernel(left), self.kernel(right), and))
            }
            Expr::Binary { op: BinaryOp::Or, left, right } => {
                Some(joined(self.kernel(left), self.kernel(right), u8::max))
            }
            Expr::Binary { op, left, right } if op.is_comparison() => {
                match (folded(left).ok()?, folded(right).ok()?) {
                    (Some(_), Some(_)) => {
                        let truth = self.evaluator(self.rows.get(0)?).truth(expr).ok()?;
                        Some(constantly(coded(truth)))
                    }
                    (None, Some(literal)) => self.compared(*op, left, literal),
                    (Some(literal), None) => self.compared(op.mirrored()?, right, literal),
                    (None, None) => ordered(*op, self.values(left)?, self.values(right)?),
                }
            }
            Expr::Range { operand, low, high, .. } => {
                let above = if low.inclusive { BinaryOp::Ge } else { BinaryOp::Gt };
                let below = if high.inclusive { BinaryOp::Le } else { BinaryOp::Lt };
                let above =
                    self.test(above, self.place(operand)?, Cow::Borrowed(&low.value), false)?;
                let below =
                    self.test(below, self.place(operand)?, Cow::Borrowed(&high.value), false)?;
                Some(joined(above, below, and))
            }
            Expr::In { operand, list, negated } => self.is_in(operand, list, *negated),
            Expr::Like { operand, pattern } => {
                let pattern = Pattern::new(pattern);
                match self.values(operand)? {
                    Values::Text(source) => {
                        Some(each(source, move |text| holds(pattern.matches(text))))
                    }
                    Values::Any(any) => Some(any_each(any, move |operand| match operand {
                        Operand::Null => UNKNOWN,
                        Operand::Text(text) => holds(pattern.matches(text)),
                        Operand::Json(Some(Json::String(text))) => holds(pattern.matches(text)),
                        _ => FALSE,
                    })),
                    _ => None,
                }
            }
            Expr::IsNull { operand, negated } => self.is_null(operand, *negated),
            Expr::Exists(path) => {
                let Values::Any(any) = self.json(path)? else { return None };
                Some(any_each(any, |operand| existing(&operand)))
            }
            Expr::Call { function, operand, arguments } => self.call(*function, operand, arguments),
            _ => None,
        }
    }

    /// Where a path leads, on every row.
    fn place<'c>(&'c self, path: &'c FieldPath) -> Option<Values<'c>> {
        match resolve(&self.schema, path).ok()? {
            Place::Column(field, _) | Place::Timestamp(field) => {
                Some(match self.column(field)? {
                    Column::Bool(column) => Values::Bool(column.source()),
                    Column::Int(column) => Values::Int(column.source()),
                    Column::Float(column) => Values::Float(column.source()),
                    Column::Double(column) => Values::Double(column.source()),
                    Column::Text(column) => Values::Text(column.source()),
                    Column::Timestamp(column) => Values::Timestamp(column.source()),
                    _ => return None,
                })
            }
            Place::Element(field, _, index) => {
                let Column::Array(arrays) = self.column(field)? else { return None };
                Some(Values::Any(Box::new(move |row| {
                    Some(match arrays.get(row)? {
                        Some(items) => {
                            items.get(index as usize).map_or(Operand::OutOfRange, element)
                        }
                        None => Operand::Null,
                    })
                })))
            }
            Place::Json(..) => self.json(path),
            _ => None,
        }
    }

    /// A place in JSON, on every row; `None` if the path leads elsewhere.
    fn json<'c>(&'c self, path: &FieldPath) -> Option<Values<'c>> {
        let values = self.found(path)?;
        Some(Values::Any(Box::new(move |row| {
            Some(match values.get(row)? {
                Some(json) => Operand::Json(json.as_ref()),
                None => Operand::Null,
            })
        })))
    }

    fn values<'c>(&'c self, expr: &'c Expr) -> Option<Values<'c>> {
        match expr {
            Expr::Field(path) => self.place(path),
            Expr::Call { function: Function::ArrayLength, operand, .. } => {
                match resolve(&self.schema, operand).ok()? {
                    Place::Array(field, _) => {
                        let Column::Array(arrays) = self.column(field)? else { return None };
                        Some(Values::Any(Box::new(move |row| {
                            Some(match arrays.get(row)? {
                                Some(items) => Operand::Int(items.len() as i64),
                                None => Operand::Null,
                            })
                        })))
                    }
                    _ => None,
                }
            }
            Expr::Unary { op, operand } => Some(match (self.values(operand)?, op) {
                (Values::Int(source), UnaryOp::Negate) => {
                    Values::Int(source.map(|i: i64| i.checked_neg()))
                }
                (Values::Int(source), UnaryOp::BitNot) => {
                    Values::Int(source.map(|i: i64| Some(!i)))
                }
                (Values::Float(source), UnaryOp::Negate) => {
                    Values::Float(source.map(|x: f32| Some(-x)))
                }
                (Values::Double(source), UnaryOp::Negate) => {
                    Values::Double(source.map(|x: f64| Some(-x)))
                }
                _ => return None,
            }),
            Expr::Binary { op, left, right } if !op.is_comparison() && !op.is_logical() => {
                match (folded(left).ok()?, folded(right).ok()?) {
                    (None, Some(literal)) => match *literal {
                        Literal::Interval(interval) => self.shifted(left, *op, interval),
                        _ => self.beside(expr, *op, self.values(left)?, literal, false),
                    },
                    (Some(literal), None) => {
                        self.beside(expr, *op, self.values(right)?, literal, true)
                    }
                    (None, None) => arithmetic(*op, self.values(left)?, self.values(right)?),
                    (Some(_), Some(_)) => None,
                }
            }
            _ => None,
        }
    }

    fn shifted<'c>(
        &'c self,
        operand: &'c Expr,
        op: BinaryOp,
        interval: Interval,
    ) -> Option<Values<'c>> {
        let Values::Timestamp(source) = self.values(operand)? else { return None };
        let shift = move |micros| time::shift(micros, interval, op == BinaryOp::Sub).ok();
        Some(Values::Timestamp(source.map(shift)))
    }

    /// Arithmetic with a constant, which comes first if it is `mirrored`.
    fn beside<'c>(
        &'c self,
        expr: &'c Expr,
        op: BinaryOp,
        values: Values<'c>,
        literal: Cow<'c, Literal>,
        mirrored: bool,
    ) -> Option<Values<'c>> {
        fn ordered<T>(a: T, b: T, mirrored: bool) -> (T, T) {
            if mirrored { (b, a) } else { (a, b) }
        }
        let evaluator = self.evaluator(self.rows.get(0)?);
        Some(match (values, &*literal) {
            (Values::Int(source), Literal::Int(i)) => {
                let i = *i;
                Values::Int(source.map(move |value| {
                    let (a, b) = ordered(value, i, mirrored);
                    integers(op, a, b)
                }))
            }
            (Values::Int(source), literal) => {
                let x = as_f64(literal).ok()?;
                Values::Double(source.map(move |value: i64| {
                    let (a, b) = ordered(value as f64, x, mirrored);
                    double_arithmetic(op, a, b).ok()
                }))
            }
            (Values::Float(source), literal) => {
                let x = as_f32(literal).ok()?;
                Values::Float(source.map(move |value| {
                    let (a, b) = ordered(value, x, mirrored);
                    float_arithmetic(op, a, b).ok()
                }))
            }
            (Values::Double(source), literal) => {
                let x = as_f64(literal).ok()?;
                Values::Double(source.map(move |value| {
                    let (a, b) = ordered(value, x, mirrored);
                    double_arithmetic(op, a, b).ok()
                }))
            }
            (Values::Any(any), _) => Values::Any(Box::new(move |row| {
                let operand = any(row)?;
                let constant = evaluator.beside(&operand, &literal).ok()?;
                let (a, b) = ordered(operand, constant, mirrored);
                evaluator.arithmetic(expr, op, a, b).ok()
            })),
            _ => return None,
        })
    }

    /// A comparison with a constant. Where it turns on the last bit of a quotient, the row
    /// evaluator decides.
    fn compared<'c>(
        &'c self,
        op: BinaryOp,
        operand: &'c Expr,
        literal: Cow<'c, Literal>,
    ) -> Option<Kernel<'c>> {
        let computed = !matches!(operand, Expr::Field(_));
        self.test(op, self.values(operand)?, literal, computed && divides(operand))
    }

    fn test<'c>(
        &'c self,
        op: BinaryOp,
        values: Values<'c>,
        literal: Cow<'c, Literal>,
        quotient: bool,
    ) -> Option<Kernel<'c>> {
        match (values, &*literal) {
            (Values::Bool(source), Literal::Bool(b)) => compare(op, source, *b),
            (Values::Int(source), Literal::Int(i)) => compare(op, source, *i),
            (Values::Timestamp(source), Literal::Timestamp(micros)) => compare(op, source, *micros),
            (Values::Text(source), Literal::Text(_)) => Some(each(source, move |value| {
                let Literal::Text(text) = &*literal else { return OPEN };
                holds(op.holds(value.as_bytes().cmp(text.as_bytes())) == Some(true))
            })),
            (Values::Float(source), literal) => {
                let x = as_f32(literal).ok()?;
                if !quotient {
                    return compare(op, source, x);
                }
                let truth = move |value: f32| value.partial_cmp(&x).and_then(|it| op.holds(it));
                Some(each(source, move |value| {
                    steady(truth, [value, value.next_down(), value.next_up()])
                }))
            }
            (Values::Double(source), literal) => {
                let x = as_f64(literal).ok().filter(|x| !x.is_nan())?;
                if !quotient {
                    return compare(op, source, x);
                }
                let truth = move |value: f64| value.partial_cmp(&x).and_then(|it| op.holds(it));
                Some(each(source, move |value| {
                    steady(truth, [value, value.next_down(), value.next_up()])
                }))
            }
            (Values::Any(any), constant) if !matches!(constant, Literal::List(_)) => {
                let evaluator = self.evaluator(self.rows.get(0)?);
                Some(any_each(any, move |operand| {
                    // Whatever a quotient is compared with here, the row evaluator does it.
                    if quotient && matches!(operand, Operand::Float(_) | Operand::Double(_)) {
                        return OPEN;
                    }
                    evaluator.compare(op, &operand, &literal).map_or(OPEN, coded)
                }))
            }
            _ => None,
        }
    }

    fn is_in<'c>(
        &'c self,
        operand: &'c Expr,
        list: &'c [Literal],
        negated: bool,
    ) -> Option<Kernel<'c>> {
        let values = self.values(operand)?;
        if list.is_empty() {
            // Also of nulls. Of what is computed, the value must be defined all the same.
            return match operand {
                Expr::Field(_) => Some(constantly(holds(negated))),
                _ => None,
            };
        }
        let few = self.rows.len() < FEW_ROWS;
        let found = move |found: bool| holds(found != negated);
        match values {
            Values::Bool(source) => {
                let set = Set::of(list, few, bool::cmp, |literal| match literal {
                    Literal::Bool(b) => Some(*b),
                    _ => None,
                })?;
                Some(each(source, move |value| found(set.has(&value))))
            }
            Values::Int(source) => {
                let set = Set::of(list, few, i64::cmp, |literal| match literal {
                    Literal::Int(i) => Some(*i),
                    _ => None,
                })?;
                Some(each(source, move |value| found(set.has(&value))))
            }
            Values::Float(source) => {
                let set = Set::of(list, few, f32::total_cmp, |it| Some(as_f32(it).ok()? + 0.0))?;
                // Zero is there without its sign.
                Some(each(source, move |value| found(set.has(&(value + 0.0)))))
            }
            Values::Double(source) => {
                let number = |it: &Literal| as_f64(it).ok().filter(|x| !x.is_nan());
                let set = Set::of(list, few, f64::total_cmp, |it| Some(number(it)? + 0.0))?;
                Some(each(source, move |value| found(set.has(&(value + 0.0)))))
            }
            Values::Text(source) => {
                let set = Set::of(list, few, <&str>::cmp, |literal| match literal {
                    Literal::Text(text) => Some(text.as_str()),
                    _ => None,
                })?;
                Some(each(source, move |value| found(set.has(&value))))
            }
            Values::Any(any) => {
                let evaluator = self.evaluator(self.rows.get(0)?);
                Some(any_each(any, move |operand| match operand {
                    Operand::Null => UNKNOWN,
                    Operand::OutOfRange | Operand::Json(None) => found(false),
                    Operand::Json(Some(json)) => {
                        found(list.iter().any(|literal| evaluator.json_equals(json, literal)))
                    }
                    operand => {
                        let mut any = false;
                        for literal in list {
                            match evaluator.compare(BinaryOp::Eq, &operand, literal) {
                                Ok(truth) => any |= truth == Truth::True,
                                Err(_) => return OPEN,
                            }
                        }
                        found(any)
                    }
                }))
            }
            Values::Timestamp(_) => None,
        }
    }

    fn is_null<'c>(&'c self, path: &'c FieldPath, negated: bool) -> Option<Kernel<'c>> {
        if let Place::Column(field, _) | Place::Timestamp(field) =
            resolve(&self.schema, path).ok()?
        {
            let states = self.column(field)?.states()?;
            return Some(Box::new(move |range, out| {
                for (out, state) in out.iter_mut().zip(&states[range]) {
                    *out = match *state {
                        VALID => holds(negated),
                        UNKNOWN => holds(!negated),
                        _ => OPEN,
                    };
                }
            }));
        }
        let Values::Any(any) = self.json(path)? else { return None };
        Some(any_each(any, move |operand| match existing(&operand) {
            OPEN => OPEN,
            exists => holds((exists != TRUE) != negated),
        }))
    }

    /// The contains family, and text matching.
    fn call<'c>(
        &'c self,
        function: Function,
        path: &'c FieldPath,
        arguments: &'c [Literal],
    ) -> Option<Kernel<'c>> {
        if matches!(function, Function::TextMatch | Function::PhraseMatch) {
            let Values::Text(source) = self.place(path)? else { return None };
            return Some(each(source, move |value| {
                text::matches(function, value, arguments).map_or(OPEN, holds)
            }));
        }
        let (Some(quantifier), [argument]) = (function.quantifier(), arguments) else {
            return None;
        };
        let wanted = match quantifier {
            Quantifier::One => std::slice::from_ref(argument),
            _ => argument.items(),
        };
        // Every constant is looked for, found or not: one of them may be undefined.
        let enough = move |found: &mut dyn FnMut(&Literal) -> bool| {
            let (mut any, mut every) = (false, true);
            for literal in wanted {
                let hit = found(literal);
                (any, every) = (any || hit, every && hit);
            }
            holds(if quantifier == Quantifier::Any { any } else { every })
        };
        let evaluator = self.evaluator(self.rows.get(0)?);
        if let Place::Array(field, _) = resolve(&self.schema, path).ok()? {
            let Column::Array(arrays) = self.column(field)? else { return None };
            return Some(Box::new(move |range, out| {
                for (out, items) in out.iter_mut().zip(&arrays[range]) {
                    let Some(items) = items else {
                        *out = UNKNOWN;
                        continue;
                    };
                    let mut open = false;
                    let code = enough(&mut |literal| {
                        let mut hit = false;
                        for item in items {
                            match evaluator.order(&element(item), literal) {
                                Ok(ordering) => hit |= ordering == Some(Ordering::Equal),
                                Err(_) => open = true,
                            }
                        }
                        hit
                    });
                    *out = if open { OPEN } else { code };
                }
            }));
        }
        let Values::Any(any) = self.json(path)? else { return None };
        Some(any_each(any, move |operand| match operand {
            Operand::Null => UNKNOWN,
            Operand::Json(Some(Json::Array(items))) => {
                enough(&mut |literal| items.iter().any(|item| evaluator.json_equals(item, literal)))
            }
            _ => FALSE,
        }))
    }
}

/// Below this many rows, looking through a list costs less than sorting it.
const FEW_ROWS: usize = 64;

/// The constants of a list.
struct Set<T> {
    items: Vec<T>,
    order: fn(&T, &T) -> Ordering,
    sorted: bool,
}

impl<T> Set<T> {
    /// `None` if some constant is of another type.
    fn of<'l>(
        list: &'l [Literal],
        few: bool,
        order: fn(&T, &T) -> Ordering,
        value: impl Fn(&'l Literal) -> Option<T>,
    ) -> Option<Set<T>> {
        let mut items: Vec<T> = list.iter().map(value).collect::<Option<_>>()?;
        let sorted = !few && items.len() > 8;
        if sorted {
            items.sort_unstable_by(order);
        }
        Some(Set { items, order, sorted })
    }

    fn has(&self, value: &T) -> bool
    where
        T: PartialEq,
    {
        match self.sorted {
            true => self.items.binary_search_by(|item| (self.order)(item, value)).is_ok(),
            false => self.items.contains(value),
        }
    }
}

/// Whether a place in JSON leads to something.
fn existing(operand: &Operand<'_>) -> u8 {
    match operand {
        Operand::Json(Some(Json::Array(items))) if items.is_empty() => FALSE,
        Operand::Json(Some(Json::Object(members))) if members.is_empty() => FALSE,
        Operand::Json(Some(Json::Null)) => FALSE,
        Operand::Json(Some(json)) if is_hollow(json) => OPEN,
        Operand::Json(Some(_)) => TRUE,
        _ => FALSE,
    }
}
