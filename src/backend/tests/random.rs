//! Random filters, typed by construction, with literals from the rows themselves.

use serde_json::Value as Json;

use super::fixture::{agree, filled, pool};
use crate::filter::{BinaryOp, Expr, FieldPath, Function, Literal, Step, check};
use crate::value::META;

/// SplitMix64: small, and the same numbers for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    fn filter(&mut self, depth: usize) -> Expr {
        match self.below(if depth == 0 { 1 } else { 4 }) {
            0 => self.term(),
            1 => Expr::Not(Box::new(self.filter(depth - 1))),
            choice => {
                let op = if choice == 2 { BinaryOp::And } else { BinaryOp::Or };
                Expr::binary(self.filter(depth - 1), op, self.filter(depth - 1))
            }
        }
    }

    fn term(&mut self) -> Expr {
        const COLUMNS: [&str; 9] = ["b", "i8", "i16", "i32", "i64", "f", "d", "s", "S"];
        const ARRAYS: [&str; 6] = ["ab", "a8", "ai", "af", "ad", "at"];
        let (column, array) = (self.pick(&COLUMNS), self.pick(&ARRAYS));
        let op = self.pick(&BinaryOp::COMPARISONS);
        match self.below(10) {
            0 | 1 => self.test(Expr::field(column), column),
            2 => {
                let number = self.pick(&["i8", "i16", "i32", "i64", "f", "d"]);
                let arithmetic = self.pick(&[
                    BinaryOp::Add,
                    BinaryOp::Sub,
                    BinaryOp::Mul,
                    BinaryOp::Div,
                    BinaryOp::Mod,
                ]);
                let constant = Expr::Literal(self.literal(number));
                let left = Expr::binary(Expr::field(number), arithmetic, constant);
                Expr::binary(left, op, Expr::Literal(self.literal(number)))
            }
            3 => Expr::binary(Expr::field(column), op, Expr::field(self.pick(&COLUMNS))),
            4 => {
                let step = Step::Index(self.below(3) as u32);
                let path = FieldPath { root: array.to_owned(), steps: vec![step] };
                self.test(Expr::Field(path), array)
            }
            5 => {
                let function = self.pick(&Function::ALL[1..4]);
                self.call(function, FieldPath::new(array), array)
            }
            6 => {
                let operand = if self.below(3) == 0 { self.json() } else { FieldPath::new(column) };
                Expr::IsNull { operand, negated: self.below(2) == 0 }
            }
            7 => {
                let path = self.json();
                let function = self.pick(&Function::ALL[4..]);
                if self.below(3) == 0 {
                    Expr::Exists(path)
                } else {
                    self.call(function, path, META)
                }
            }
            _ => {
                let path = self.json();
                self.test(Expr::Field(path), META)
            }
        }
    }

    fn test(&mut self, operand: Expr, values: &str) -> Expr {
        let literal = self.literal(values);
        match self.below(5) {
            0 => {
                let same = |other: &Literal| {
                    std::mem::discriminant(other) == std::mem::discriminant(&literal)
                };
                let mut list: Vec<_> = (0..6).map(|_| self.literal(values)).collect();
                list.retain(same);
                Expr::In { operand: Box::new(operand), list, negated: self.below(2) == 0 }
            }
            1 if matches!(literal, Literal::Text(_)) => {
                let pattern = match self.literal("s") {
                    Literal::Text(text) => text + self.pick(&["", "%", "_"]),
                    _ => "%".to_owned(),
                };
                Expr::Like { operand: Box::new(operand), pattern }
            }
            2 => {
                let op = self.pick(&BinaryOp::COMPARISONS);
                Expr::binary(Expr::Literal(literal), op, operand)
            }
            _ => {
                let op = self.pick(&BinaryOp::COMPARISONS);
                Expr::binary(operand, op, Expr::Literal(literal))
            }
        }
    }

    fn call(&mut self, function: Function, operand: FieldPath, values: &str) -> Expr {
        let argument = match function {
            Function::ArrayContains | Function::JsonContains => self.literal(values),
            _ => Literal::List((0..=self.below(3)).map(|_| self.literal(values)).collect()),
        };
        Expr::Call { function, operand, arguments: vec![argument] }
    }

    fn json(&mut self) -> FieldPath {
        let (key, index) = (|key: &str| Step::Key(key.to_owned()), Step::Index);
        let steps = match self.below(8) {
            0 => vec![key("o"), key("x")],
            1 => vec![key("l")],
            2 => vec![key("l"), index(self.below(3) as u32)],
            3 => vec![key("o"), index(1)],
            4 => vec![key("a/b")],
            _ => vec![key("k")],
        };
        match self.pick(&["j", "r", META]) {
            META => FieldPath { root: META.to_owned(), steps: vec![key("dyn")] },
            root => FieldPath { root: root.to_owned(), steps },
        }
    }

    /// A literal like the field's values, sometimes next to one of them.
    fn literal(&mut self, values: &str) -> Literal {
        loop {
            let mut value = self.pick(&pool(values));
            if let Json::Array(items) = &value {
                value = if items.is_empty() { Json::Null } else { self.pick(items) };
            }
            let near = self.below(4);
            return match value {
                Json::Bool(b) => Literal::Bool(b),
                Json::String(s) => Literal::Text(s),
                Json::Number(n) => match (n.as_i64(), n.as_f64(), near) {
                    (Some(i), _, 0) => Literal::Int(i.saturating_add(1)),
                    (Some(i), _, 1) => Literal::Int(i.saturating_sub(1)),
                    (Some(i), ..) => Literal::Int(i),
                    (None, Some(x), 0) if x.next_up().is_finite() => Literal::Float(x.next_up()),
                    (None, Some(x), _) => Literal::Float(x),
                    (None, None, _) => continue,
                },
                _ => continue,
            };
        }
    }
}

#[tokio::test]
async fn random_filters_agree_with_the_model() {
    let (mut backend, table, rows) = filled().await;
    let mut random = Random(20_240_117);
    let (mut asked, mut compared) = (0, 0);
    while asked < 1500 {
        let filter = random.filter(2);
        if check(&table.schema, &filter).is_ok() {
            asked += 1;
            compared += agree(&mut backend, &table, &rows, &filter).await;
        }
    }
    assert!(compared > asked / 2, "only {compared} of {asked} filters could be compared");
}
