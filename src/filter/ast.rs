//! The syntax tree of a filter. One tree prints as Milvus text and lowers to SQL.

use super::operator::{BinaryOp, Elements, Function, UnaryOp};

/// A filter expression, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A constant.
    Literal(Literal),
    /// A column, a dynamic key, or a place inside one.
    Field(FieldPath),
    /// `not (…)`.
    Not(Box<Expr>),
    /// `-operand` or `~operand`. A minus before a number is part of the [`Literal`].
    Unary {
        /// The operator.
        op: UnaryOp,
        /// What it is applied to.
        operand: Box<Expr>,
    },
    /// `left op right`.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
    },
    /// A chained range: `low < operand <= high`, or `high >= operand > low`.
    Range {
        /// What lies between the bounds.
        operand: FieldPath,
        /// The lower bound.
        low: Bound,
        /// The upper bound.
        high: Bound,
        /// Written from the upper bound down.
        descending: bool,
    },
    /// `operand in [list]` or `operand not in [list]`.
    In {
        /// What is looked for.
        operand: Box<Expr>,
        /// The constants looked in; a single [`Literal::Template`] stands for the whole list.
        list: Vec<Literal>,
        /// `not in`.
        negated: bool,
    },
    /// `operand like "pattern"`.
    Like {
        /// The string that is matched.
        operand: Box<Expr>,
        /// The pattern: `%` any run, `_` one character, `\` takes the next character literally.
        pattern: String,
    },
    /// `operand is null` or `operand is not null`.
    IsNull {
        /// A column, or a place in JSON.
        operand: FieldPath,
        /// `is not null`.
        negated: bool,
    },
    /// `exists path`.
    Exists(FieldPath),
    /// `function(operand, arguments)`.
    Call {
        /// The function.
        function: Function,
        /// Its first argument: a column or a place in JSON.
        operand: FieldPath,
        /// Its other arguments.
        arguments: Vec<Literal>,
    },
    /// `match_any(field, predicate)` and its like, on an array of structs.
    Elements {
        /// How many elements must satisfy the predicate.
        elements: Elements,
        /// The array of structs.
        field: String,
        /// What is asked of an element, whose members are named `$[member]`.
        predicate: Box<Expr>,
    },
}

/// One end of a [`Expr::Range`].
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The constant.
    pub value: Literal,
    /// Whether the constant itself is within.
    pub inclusive: bool,
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A finite double.
    Float(f64),
    /// A string.
    Text(String),
    /// A list of constants.
    List(Vec<Literal>),
    /// `ISO "2026-01-31T00:00:00Z"`: microseconds since the epoch, in UTC.
    Timestamp(i64),
    /// `INTERVAL "P1DT2H"`, only beside a TIMESTAMPTZ column.
    Interval(Interval),
    /// `{name}`: a constant that is sent beside the filter.
    Template(String),
}

/// A span of time. Months and days have no fixed length, so that the parts are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    /// Months, 12 for a year.
    pub months: i32,
    /// Days, 7 for a week.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// A column or dynamic key, and the steps into it.
///
/// `j["a"][0]` is the root `j` with the steps `a` and `0`; `$meta["x"]` has the root `$meta`, and
/// a member of a struct the root `$[member]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath {
    /// The column, the dynamic key, `$meta` or `$[member]`.
    pub root: String,
    /// From the root inwards.
    pub steps: Vec<Step>,
}

impl FieldPath {
    /// A bare name.
    pub fn new(root: impl Into<String>) -> FieldPath {
        FieldPath { root: root.into(), steps: Vec::new() }
    }

    /// A member of the struct that an [`Expr::Elements`] looks at.
    pub fn member(name: &str) -> FieldPath {
        FieldPath::new(format!("$[{name}]"))
    }

    /// Whether this is such a member.
    pub fn is_member(&self) -> bool {
        self.root.starts_with("$[")
    }
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// `["key"]`: a member of an object.
    Key(String),
    /// `[3]`: an element of an array, from 0.
    Index(u32),
}

impl Expr {
    /// A comparison, arithmetic or logical node.
    pub fn binary(left: Expr, op: BinaryOp, right: Expr) -> Expr {
        Expr::Binary { op, left: Box::new(left), right: Box::new(right) }
    }

    /// `self and other`.
    pub fn and(self, other: Expr) -> Expr {
        Expr::binary(self, BinaryOp::And, other)
    }

    /// `self or other`.
    pub fn or(self, other: Expr) -> Expr {
        Expr::binary(self, BinaryOp::Or, other)
    }

    /// A bare column or dynamic key.
    pub fn field(name: impl Into<String>) -> Expr {
        Expr::Field(FieldPath::new(name))
    }

    /// The list of a filter that is nothing but `name in [list]`.
    pub fn list_of(&self, name: &str) -> Option<&[Literal]> {
        match self {
            Expr::In { operand, list, negated: false } => match &**operand {
                Expr::Field(path) if path.root == name && path.steps.is_empty() => Some(list),
                _ => None,
            },
            _ => None,
        }
    }

    /// How many nodes the tree has: each operator, operand, and each element of a list is one.
    ///
    /// ```
    /// let filter = milvus_difftest::filter::parse("not (a in [1, 2])").unwrap();
    /// assert_eq!(filter.nodes(), 5);
    /// ```
    pub fn nodes(&self) -> usize {
        let mut nodes = 0;
        self.for_each_node(&mut |node| {
            nodes += match node {
                // A literal counts as itself, below.
                Expr::Literal(_) => 0,
                Expr::Like { .. } | Expr::IsNull { .. } | Expr::Exists(_) => 2,
                Expr::Call { .. } | Expr::Range { .. } | Expr::Elements { .. } => 2,
                _ => 1,
            };
        });
        self.for_each_literal(&mut |literal| nodes += literal.nodes());
        nodes
    }

    /// The parts that are expressions themselves, from left to right.
    pub fn children(&self) -> Vec<&Expr> {
        self.parts().collect()
    }

    /// The same, without a list of them: there are two at most.
    fn parts(&self) -> impl Iterator<Item = &Expr> {
        let parts: [Option<&Expr>; 2] = match self {
            Expr::Not(inner) => [Some(inner), None],
            Expr::Unary { operand, .. } | Expr::In { operand, .. } | Expr::Like { operand, .. } => {
                [Some(operand), None]
            }
            Expr::Binary { left, right, .. } => [Some(left), Some(right)],
            Expr::Elements { predicate, .. } => [Some(predicate), None],
            Expr::Literal(_)
            | Expr::Field(_)
            | Expr::Range { .. }
            | Expr::IsNull { .. }
            | Expr::Exists(_)
            | Expr::Call { .. } => [None, None],
        };
        parts.into_iter().flatten()
    }

    /// The same, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Expr::Not(inner) => vec![inner],
            Expr::Unary { operand, .. } | Expr::In { operand, .. } | Expr::Like { operand, .. } => {
                vec![operand]
            }
            Expr::Binary { left, right, .. } => vec![left, right],
            Expr::Elements { predicate, .. } => vec![predicate],
            Expr::Literal(_)
            | Expr::Field(_)
            | Expr::Range { .. }
            | Expr::IsNull { .. }
            | Expr::Exists(_)
            | Expr::Call { .. } => Vec::new(),
        }
    }

    /// Calls `visit` with every node of the tree, each before its parts.
    pub fn for_each_node<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        for child in self.parts() {
            child.for_each_node(visit);
        }
    }

    /// Calls `visit` with every path in the tree.
    pub fn for_each_path<'a>(&'a self, visit: &mut impl FnMut(&'a FieldPath)) {
        self.for_each_node(&mut |node| match node {
            Expr::Field(path) | Expr::Exists(path) => visit(path),
            Expr::IsNull { operand, .. }
            | Expr::Call { operand, .. }
            | Expr::Range { operand, .. } => visit(operand),
            _ => {}
        });
    }

    /// Whether it uses a field, or the dynamic key of that name.
    ///
    /// ```
    /// use milvus_difftest::filter::parse;
    /// let filter = parse("a + 1 > 2 or tags is null").unwrap();
    /// assert!(filter.names("a") && filter.names("tags") && !filter.names("b"));
    /// ```
    pub fn names(&self, field: &str) -> bool {
        let mut named = false;
        self.for_each_path(&mut |path| named |= path.root == field);
        self.for_each_node(&mut |node| {
            named |= matches!(node, Expr::Elements { field: array, .. } if array == field);
        });
        named
    }

    /// Calls `visit` with every constant in the tree, lists as a whole where they are one argument.
    pub fn for_each_literal<'a>(&'a self, visit: &mut impl FnMut(&'a Literal)) {
        self.for_each_node(&mut |node| match node {
            Expr::Literal(literal) => visit(literal),
            Expr::In { list, .. } => list.iter().for_each(&mut *visit),
            Expr::Call { arguments, .. } => arguments.iter().for_each(&mut *visit),
            Expr::Range { low, high, .. } => {
                visit(&low.value);
                visit(&high.value);
            }
            _ => {}
        });
    }

    /// The same, to be changed.
    pub fn for_each_literal_mut(&mut self, visit: &mut impl FnMut(&mut Literal)) {
        match self {
            Expr::Literal(literal) => visit(literal),
            Expr::In { list, .. } => list.iter_mut().for_each(&mut *visit),
            Expr::Call { arguments, .. } => arguments.iter_mut().for_each(&mut *visit),
            Expr::Range { low, high, .. } => {
                visit(&mut low.value);
                visit(&mut high.value);
            }
            _ => {}
        }
        for child in self.children_mut() {
            child.for_each_literal_mut(visit);
        }
    }
}

impl Literal {
    fn nodes(&self) -> usize {
        match self {
            Literal::List(items) => items.iter().map(Literal::nodes).sum(),
            _ => 1,
        }
    }

    /// The elements of a list; of anything else, itself.
    pub fn items(&self) -> &[Literal] {
        match self {
            Literal::List(items) => items,
            single => std::slice::from_ref(single),
        }
    }
}
