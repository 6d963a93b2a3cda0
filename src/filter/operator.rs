//! Operators and functions: their names, and what follows from them alone.

use std::cmp::Ordering;

/// An operator with one operand. `not` is a node of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnaryOp {
    /// `-`
    Negate,
    /// `~` (Milvus 3.x)
    BitNot,
}

impl UnaryOp {
    /// The spelling in a filter.
    pub fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Negate => "-",
            UnaryOp::BitNot => "~",
        }
    }
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// `**`: constants only, and always a double.
    Pow,
    /// `&` (Milvus 3.x)
    BitAnd,
    /// `|` (Milvus 3.x)
    BitOr,
    /// `^` (Milvus 3.x)
    BitXor,
}

/// What a binary operator makes of its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpClass {
    /// A truth value of two truth values.
    Logical,
    /// A truth value of two values.
    Comparison,
    /// A number of two numbers.
    Arithmetic,
    /// An integer of two integers.
    Bitwise,
}

impl BinaryOp {
    /// Every operator.
    pub const ALL: [BinaryOp; 17] = [
        BinaryOp::Or,
        BinaryOp::And,
        BinaryOp::Eq,
        BinaryOp::Ne,
        BinaryOp::Lt,
        BinaryOp::Le,
        BinaryOp::Gt,
        BinaryOp::Ge,
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Mod,
        BinaryOp::Pow,
        BinaryOp::BitAnd,
        BinaryOp::BitOr,
        BinaryOp::BitXor,
    ];

    /// The six comparisons.
    pub const COMPARISONS: [BinaryOp; 6] =
        [BinaryOp::Eq, BinaryOp::Ne, BinaryOp::Lt, BinaryOp::Le, BinaryOp::Gt, BinaryOp::Ge];

    /// The plain spelling in a filter: lower-case words.
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
            BinaryOp::Pow => "**",
            BinaryOp::BitAnd => "&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
        }
    }

    /// What it makes of its operands.
    pub fn class(self) -> OpClass {
        use BinaryOp::*;
        match self {
            Or | And => OpClass::Logical,
            Eq | Ne | Lt | Le | Gt | Ge => OpClass::Comparison,
            Add | Sub | Mul | Div | Mod | Pow => OpClass::Arithmetic,
            BitAnd | BitOr | BitXor => OpClass::Bitwise,
        }
    }

    /// Whether this is one of the six comparisons.
    pub fn is_comparison(self) -> bool {
        self.class() == OpClass::Comparison
    }

    /// Whether this is `and` or `or`.
    pub fn is_logical(self) -> bool {
        self.class() == OpClass::Logical
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
    pub fn holds(self, ordering: Ordering) -> Option<bool> {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// `text_match(s, "words")`, with `minimum_should_match=n` if there is a second argument.
    TextMatch,
    /// `phrase_match(s, "words", slop)`
    PhraseMatch,
    /// `ST_EQUALS(g, "wkt")`
    StEquals,
    /// `ST_CONTAINS(g, "wkt")`
    StContains,
    /// `ST_WITHIN(g, "wkt")`
    StWithin,
    /// `ST_INTERSECTS(g, "wkt")`
    StIntersects,
    /// `ST_TOUCHES(g, "wkt")`
    StTouches,
    /// `ST_OVERLAPS(g, "wkt")`
    StOverlaps,
    /// `ST_CROSSES(g, "wkt")`
    StCrosses,
    /// `ST_DWITHIN(g, "wkt", metres)`
    StDwithin,
    /// `ST_ISVALID(g)`
    StIsvalid,
}

impl Function {
    /// Every function.
    pub const ALL: [Function; 18] = [
        Function::ArrayLength,
        Function::ArrayContains,
        Function::ArrayContainsAll,
        Function::ArrayContainsAny,
        Function::JsonContains,
        Function::JsonContainsAll,
        Function::JsonContainsAny,
        Function::TextMatch,
        Function::PhraseMatch,
        Function::StEquals,
        Function::StContains,
        Function::StWithin,
        Function::StIntersects,
        Function::StTouches,
        Function::StOverlaps,
        Function::StCrosses,
        Function::StDwithin,
        Function::StIsvalid,
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
            Function::TextMatch => "text_match",
            Function::PhraseMatch => "phrase_match",
            Function::StEquals => "st_equals",
            Function::StContains => "st_contains",
            Function::StWithin => "st_within",
            Function::StIntersects => "st_intersects",
            Function::StTouches => "st_touches",
            Function::StOverlaps => "st_overlaps",
            Function::StCrosses => "st_crosses",
            Function::StDwithin => "st_dwithin",
            Function::StIsvalid => "st_isvalid",
        }
    }

    /// For the contains family, how the elements must be found; `None` for all others.
    pub fn quantifier(self) -> Option<Quantifier> {
        match self {
            Function::ArrayContains | Function::JsonContains => Some(Quantifier::One),
            Function::ArrayContainsAll | Function::JsonContainsAll => Some(Quantifier::All),
            Function::ArrayContainsAny | Function::JsonContainsAny => Some(Quantifier::Any),
            _ => None,
        }
    }

    /// Whether it is one of the `st_` functions on GEOMETRY columns.
    pub fn is_spatial(self) -> bool {
        use Function::*;
        matches!(
            self,
            StEquals
                | StContains
                | StWithin
                | StIntersects
                | StTouches
                | StOverlaps
                | StCrosses
                | StDwithin
                | StIsvalid
        )
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

/// How many elements of an array of structs must satisfy a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Elements {
    /// `element_filter`: at least one; a search then ranks the elements that do.
    Filter,
    /// `match_any`: at least one.
    Any,
    /// `match_all`: each; true of an empty array.
    All,
    /// `match_least`: at least so many.
    Least(u32),
    /// `match_most`: at most so many.
    Most(u32),
    /// `match_exact`: exactly so many.
    Exact(u32),
}

impl Elements {
    /// The spelling in a filter.
    pub fn name(self) -> &'static str {
        match self {
            Elements::Filter => "element_filter",
            Elements::Any => "match_any",
            Elements::All => "match_all",
            Elements::Least(_) => "match_least",
            Elements::Most(_) => "match_most",
            Elements::Exact(_) => "match_exact",
        }
    }

    /// The `threshold=` argument of those that take one.
    pub fn threshold(self) -> Option<u32> {
        match self {
            Elements::Least(n) | Elements::Most(n) | Elements::Exact(n) => Some(n),
            _ => None,
        }
    }

    /// Whether so many hits among so many elements are enough.
    pub fn holds(self, hits: usize, elements: usize) -> bool {
        let at = |n: u32| n as usize;
        match self {
            Elements::Filter | Elements::Any => hits > 0,
            Elements::All => hits == elements,
            Elements::Least(n) => hits >= at(n),
            Elements::Most(n) => hits <= at(n),
            Elements::Exact(n) => hits == at(n),
        }
    }
}
