//! The syntax tree of a filter. One tree prints as Milvus text and lowers to SQL.

/// A filter expression, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A constant.
    Literal(Literal),
    /// A column, a dynamic key, or a place inside one.
    Field(FieldPath),
    /// `not (…)`.
    Not(Box<Expr>),
    /// `left op right`.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
    },
    /// `operand in [list]` or `operand not in [list]`.
    In {
        /// What is looked for.
        operand: Box<Expr>,
        /// The constants looked in.
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
    /// `function(arguments)`.
    Call {
        /// The function.
        function: Function,
        /// Its first argument, an ARRAY column or a place in JSON.
        operand: FieldPath,
        /// Its second argument, where it takes one.
        argument: Option<Literal>,
    },
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
    /// A list of scalars.
    List(Vec<Literal>),
}

/// A column or dynamic key, and the steps into it.
///
/// `j["a"][0]` is the root `j` with the steps `a` and `0`; `$meta["x"]` has the root `$meta`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath {
    /// The column, the dynamic key, or `$meta`.
    pub root: String,
    /// From the root inwards.
    pub steps: Vec<Step>,
}

impl FieldPath {
    /// A bare name.
    pub fn new(root: impl Into<String>) -> FieldPath {
        FieldPath { root: root.into(), steps: Vec::new() }
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

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `or`
    Or,
    /// `and`
    And,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
}

impl BinaryOp {
    /// The six comparisons.
    pub const COMPARISONS: [BinaryOp; 6] =
        [BinaryOp::Eq, BinaryOp::Ne, BinaryOp::Lt, BinaryOp::Le, BinaryOp::Gt, BinaryOp::Ge];

    /// The spelling in a filter.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Or => "or",
            BinaryOp::And => "and",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
        }
    }

    /// Whether this is one of the six comparisons.
    pub fn is_comparison(self) -> bool {
        BinaryOp::COMPARISONS.contains(&self)
    }

    /// Whether this is `and` or `or`.
    pub fn is_logical(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or)
    }

    /// The comparison with its sides exchanged: `5 < a` is `a > 5`. `None` if this is none.
    pub fn mirrored(self) -> Option<BinaryOp> {
        match self {
            BinaryOp::Eq | BinaryOp::Ne => Some(self),
            BinaryOp::Lt => Some(BinaryOp::Gt),
            BinaryOp::Le => Some(BinaryOp::Ge),
            BinaryOp::Gt => Some(BinaryOp::Lt),
            BinaryOp::Ge => Some(BinaryOp::Le),
            _ => None,
        }
    }

    /// The comparison that is true where this one is false. `None` if this is none.
    pub fn opposite(self) -> Option<BinaryOp> {
        match self {
            BinaryOp::Eq => Some(BinaryOp::Ne),
            BinaryOp::Ne => Some(BinaryOp::Eq),
            BinaryOp::Lt => Some(BinaryOp::Ge),
            BinaryOp::Le => Some(BinaryOp::Gt),
            BinaryOp::Gt => Some(BinaryOp::Le),
            BinaryOp::Ge => Some(BinaryOp::Lt),
            _ => None,
        }
    }

    /// Whether an ordering satisfies this comparison; `None` if this is not a comparison.
    pub fn holds(self, ordering: std::cmp::Ordering) -> Option<bool> {
        match self {
            BinaryOp::Eq => Some(ordering.is_eq()),
            BinaryOp::Ne => Some(ordering.is_ne()),
            BinaryOp::Lt => Some(ordering.is_lt()),
            BinaryOp::Le => Some(ordering.is_le()),
            BinaryOp::Gt => Some(ordering.is_gt()),
            BinaryOp::Ge => Some(ordering.is_ge()),
            _ => None,
        }
    }
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `array_length(a)`, an integer.
    ArrayLength,
    /// `array_contains(a, x)`
    ArrayContains,
    /// `array_contains_all(a, [x, …])`
    ArrayContainsAll,
    /// `array_contains_any(a, [x, …])`
    ArrayContainsAny,
    /// `json_contains(j["k"], x)`
    JsonContains,
    /// `json_contains_all(j["k"], [x, …])`
    JsonContainsAll,
    /// `json_contains_any(j["k"], [x, …])`
    JsonContainsAny,
}

impl Function {
    /// Every function.
    pub const ALL: [Function; 7] = [
        Function::ArrayLength,
        Function::ArrayContains,
        Function::ArrayContainsAll,
        Function::ArrayContainsAny,
        Function::JsonContains,
        Function::JsonContainsAll,
        Function::JsonContainsAny,
    ];

    /// The spelling in a filter.
    pub fn name(self) -> &'static str {
        match self {
            Function::ArrayLength => "array_length",
            Function::ArrayContains => "array_contains",
            Function::ArrayContainsAll => "array_contains_all",
            Function::ArrayContainsAny => "array_contains_any",
            Function::JsonContains => "json_contains",
            Function::JsonContainsAll => "json_contains_all",
            Function::JsonContainsAny => "json_contains_any",
        }
    }

    /// For the contains family, how the elements must be found; `None` for `array_length`.
    pub fn quantifier(self) -> Option<Quantifier> {
        match self {
            Function::ArrayLength => None,
            Function::ArrayContains | Function::JsonContains => Some(Quantifier::One),
            Function::ArrayContainsAll | Function::JsonContainsAll => Some(Quantifier::All),
            Function::ArrayContainsAny | Function::JsonContainsAny => Some(Quantifier::Any),
        }
    }
}

/// How a member of the contains family reads its second argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// One scalar, which must be an element.
    One,
    /// A list, all of which must be elements.
    All,
    /// A list, one of which must be an element.
    Any,
}

impl Expr {
    /// A comparison, arithmetic or logical node.
    pub fn binary(left: Expr, op: BinaryOp, right: Expr) -> Expr {
        Expr::Binary { op, left: Box::new(left), right: Box::new(right) }
    }

    /// A bare column or dynamic key.
    pub fn field(name: impl Into<String>) -> Expr {
        Expr::Field(FieldPath::new(name))
    }

    /// How many nodes the tree has: each operator, operand, and each element of a list is one.
    ///
    /// ```
    /// let filter = milvus_difftest::filter::parse("not (a in [1, 2])").unwrap();
    /// assert_eq!(filter.nodes(), 5);
    /// ```
    pub fn nodes(&self) -> usize {
        match self {
            Expr::Literal(literal) => literal.nodes(),
            Expr::Field(_) => 1,
            Expr::Not(inner) => 1 + inner.nodes(),
            Expr::Binary { left, right, .. } => 1 + left.nodes() + right.nodes(),
            Expr::In { operand, list, .. } => {
                1 + operand.nodes() + list.iter().map(Literal::nodes).sum::<usize>()
            }
            Expr::Like { operand, .. } => 2 + operand.nodes(),
            Expr::IsNull { .. } | Expr::Exists(_) => 2,
            Expr::Call { argument, .. } => 2 + argument.as_ref().map_or(0, Literal::nodes),
        }
    }

    /// Calls `visit` with every path in the tree, from left to right.
    pub fn for_each_path<'a>(&'a self, visit: &mut impl FnMut(&'a FieldPath)) {
        match self {
            Expr::Literal(_) => {}
            Expr::Field(path) | Expr::Exists(path) => visit(path),
            Expr::IsNull { operand, .. } | Expr::Call { operand, .. } => visit(operand),
            Expr::Not(inner) => inner.for_each_path(visit),
            Expr::In { operand, .. } | Expr::Like { operand, .. } => operand.for_each_path(visit),
            Expr::Binary { left, right, .. } => {
                left.for_each_path(visit);
                right.for_each_path(visit);
            }
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
}
