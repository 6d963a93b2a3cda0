//! The parser on random trees, and on random nonsense.

use milvus_difftest::filter::operator::Quantifier;
use milvus_difftest::filter::{
    BinaryOp, Bound, Elements, Expr, FieldPath, Filter, Function, Interval, Literal, Semantics,
    Spelling, Step, UnaryOp, check, evaluate, parse,
};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Row, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Names that are nearly keywords, prefixes and numbers.
const NAMES: [&str; 14] = [
    "a",
    "b",
    "_x1",
    "r",
    "u8",
    "L",
    "e5",
    "x",
    "None",
    "nulls",
    "isnull",
    "threshold",
    "minimum_should_match",
    "Ands",
];

fn text() -> impl Strategy<Value = String> {
    let special =
        select(vec!['\'', '"', '\\', '\n', '\r', '\t', '\0', '%', '{', ']', 'é', '日', '😀']);
    let char = prop_oneof![3 => prop::char::range(' ', '~'), 2 => special, 1 => any::<char>()];
    vec(char, 0..6).prop_map(String::from_iter)
}

/// A key as it can stand between quotes.
fn key() -> impl Strategy<Value = String> {
    let known = vec!["k", "a b", "键", "", "it's", "say \"hi\"", "a\\nb", "\\\"'", "]["];
    let any = text().prop_map(|text| text.replace(['\\', '\n', '\r', '\''], "_"));
    prop_oneof![select(known).prop_map(str::to_owned), any]
}

fn path(members: bool) -> BoxedStrategy<FieldPath> {
    let name = select(NAMES.to_vec());
    let step = prop_oneof![
        key().prop_map(Step::Key),
        prop_oneof![0..3_u32, any::<u32>()].prop_map(Step::Index)
    ];
    let root =
        prop_oneof![4 => name.clone().prop_map(str::to_owned), 1 => Just("$meta".to_owned())];
    let path = (root, vec(step, 0..3)).prop_map(|(root, steps)| FieldPath { root, steps });
    if members { prop_oneof![path, name.prop_map(FieldPath::member)].boxed() } else { path.boxed() }
}

fn int() -> impl Strategy<Value = i64> {
    prop_oneof![-3..20_i64, any::<i64>(), select(vec![i64::MIN, i64::MAX])]
}

fn float() -> impl Strategy<Value = f64> {
    let known = select(vec![0.0, -0.0, 0.1, 1e16, 1e-7, 1e300, f64::MAX, f64::MIN_POSITIVE]);
    prop_oneof![known, any::<f64>().prop_filter("finite", |x| x.is_finite())]
}

/// A time of the years that literals have.
fn timestamp() -> impl Strategy<Value = Literal> {
    (-62_135_596_800_000_000..253_402_207_200_000_000_i64).prop_map(Literal::Timestamp)
}

fn element() -> BoxedStrategy<Literal> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Literal::Bool),
        int().prop_map(Literal::Int),
        float().prop_map(Literal::Float),
        text().prop_map(Literal::Text),
        timestamp(),
    ];
    scalar.prop_recursive(2, 8, 4, |inner| vec(inner, 0..4).prop_map(Literal::List)).boxed()
}

fn template() -> impl Strategy<Value = Literal> {
    select(NAMES.to_vec()).prop_map(|name| Literal::Template(name.to_owned()))
}

fn literal() -> BoxedStrategy<Literal> {
    prop_oneof![4 => element(), 1 => template()].boxed()
}

fn call(members: bool) -> impl Strategy<Value = Expr> {
    let arguments = (literal(), vec(element(), 0..4), text(), 0..9_i64, any::<bool>());
    let call = (select(Function::ALL.to_vec()), path(members), arguments);
    call.prop_map(|(function, operand, (literal, list, text, number, more))| {
        let arguments = match (function, function.quantifier()) {
            (_, Some(Quantifier::One)) => vec![literal],
            (_, Some(_)) => vec![Literal::List(list)],
            (Function::ArrayLength | Function::StIsvalid, _) => vec![],
            (Function::StDwithin, _) => vec![Literal::Text(text), Literal::Int(number)],
            (Function::TextMatch | Function::PhraseMatch, _) if more => {
                vec![Literal::Text(text), Literal::Int(number)]
            }
            _ => vec![Literal::Text(text)],
        };
        Expr::Call { function, operand, arguments }
    })
}

fn range(members: bool) -> impl Strategy<Value = Expr> {
    let bound =
        || (literal(), any::<bool>()).prop_map(|(value, inclusive)| Bound { value, inclusive });
    (path(members), bound(), bound(), any::<bool>())
        .prop_map(|(operand, low, high, descending)| Expr::Range { operand, low, high, descending })
}

/// `t + INTERVAL "…"`
fn moved_time() -> impl Strategy<Value = Expr> {
    let interval = (0..1000, 0..1000, 0..1_000_000_000_000_000_i64);
    let operands = (select(NAMES.to_vec()), interval, any::<bool>());
    operands.prop_map(|(name, (months, days, micros), add)| {
        let interval = Literal::Interval(Interval { months, days, micros });
        let op = if add { BinaryOp::Add } else { BinaryOp::Sub };
        Expr::binary(Expr::field(name), op, Expr::Literal(interval))
    })
}

/// Any tree that can be written, whatever its types; within `match_any` and its like if `members`.
fn exprs(members: bool) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        4 => literal().prop_map(Expr::Literal),
        4 => path(members).prop_map(Expr::Field),
        1 => range(members),
        1 => call(members),
        1 => moved_time(),
        1 => path(members).prop_map(Expr::Exists),
        1 => (path(members), any::<bool>())
            .prop_map(|(operand, negated)| Expr::IsNull { operand, negated }),
    ];
    let tree = leaf.prop_recursive(5, 40, 2, move |inner| {
        let child = inner.clone().prop_map(Box::new);
        let list = prop_oneof![
            4 => vec(element(), 0..4),
            1 => template().prop_map(|template| vec![template])
        ];
        prop_oneof![
            1 => child.clone().prop_map(Expr::Not),
            1 => (select(vec![UnaryOp::Negate, UnaryOp::BitNot]), child.clone())
                .prop_map(|(op, operand)| Expr::Unary { op, operand }),
            4 => (inner.clone(), select(BinaryOp::ALL.to_vec()), inner)
                .prop_map(|(left, op, right)| Expr::binary(left, op, right)),
            1 => (child.clone(), list, any::<bool>())
                .prop_map(|(operand, list, negated)| Expr::In { operand, list, negated }),
            1 => (child, text()).prop_map(|(operand, pattern)| Expr::Like { operand, pattern }),
        ]
    });
    if members {
        return tree.boxed();
    }
    let elements = prop_oneof![
        select(vec![Elements::Filter, Elements::Any, Elements::All]),
        any::<u32>().prop_map(Elements::Least),
        (0..3_u32).prop_map(Elements::Most),
        (0..3_u32).prop_map(Elements::Exact),
    ];
    let on_structs =
        (elements, select(NAMES.to_vec()), exprs(true)).prop_map(|(elements, field, predicate)| {
            let (field, predicate) = (field.to_owned(), Box::new(predicate));
            Expr::Elements { elements, field, predicate }
        });
    let pair = (tree.clone(), select(vec![BinaryOp::And, BinaryOp::Or]), on_structs.clone());
    let both = pair.prop_map(|(left, op, right)| Expr::binary(left, op, right));
    prop_oneof![6 => tree, 1 => on_structs, 1 => both].boxed()
}

fn trees(seed: u8, count: usize) -> Vec<Expr> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = exprs(false);
    let mut next = || strategy.new_tree(&mut runner).expect("no filter is that strict").current();
    (0..count).map(|_| next()).collect()
}

#[test]
fn every_tree_reads_back_from_every_spelling() {
    let mut spelled = 0;
    for expr in trees(1, 10_000) {
        for spelling in Spelling::single() {
            let filter = Filter { expr: expr.clone(), spelling };
            let text = filter.to_string();
            let read = Filter::parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
            assert_eq!(read.expr, expr, "{text}");
            spelled += usize::from(read.spelling == spelling);
            assert_eq!(read, filter.normalised(), "{text}");
        }
    }
    // Most spellings show in most filters, or this proves little.
    assert!(spelled > 30_000, "{spelled}");
}

/// SplitMix64: the same nonsense on every machine and with every release of other crates.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const TOKENS: [&str; 92] = [
    "a",
    "b",
    "id",
    "s",
    "f",
    "j",
    "x",
    "$meta",
    "$[m]",
    "j[\"k\"]",
    "j['k'][0]",
    "a[0]",
    "0",
    "1",
    "-1",
    "007",
    "0x1F",
    "0b1",
    "9223372036854775807",
    "9223372036854775808",
    "1.5",
    ".5",
    "3.",
    "1e3",
    "0x1p-3",
    "1e400",
    "\"x\"",
    "'y'",
    "r'\\'",
    "'\\n'",
    "'\\u00e9'",
    "\"",
    "'",
    "\\",
    "true",
    "FALSE",
    "null",
    "and",
    "AND",
    "&&",
    "or",
    "||",
    "not",
    "NOT",
    "!",
    "in",
    "IN",
    "like",
    "LIKE",
    "is null",
    "IS NOT NULL",
    "is",
    "exists",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "=",
    "<>",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "&",
    "|",
    "^",
    "~",
    "<<",
    "(",
    ")",
    "[",
    "]",
    ",",
    "{x}",
    "{",
    "}",
    "array_length(",
    "array_contains(",
    "json_contains_any(",
    "text_match(",
    "minimum_should_match=",
    "st_dwithin(",
    "match_any(",
    "match_least(",
    "threshold=",
    "ISO '2026-01-31T00:00:00Z'",
    "INTERVAL 'P1D'",
    " ",
];

/// A filter with a few things changed, a row of tokens, or bytes.
fn nonsense(random: &mut Random, filters: &[String]) -> String {
    match random.below(10) {
        0 => {
            let bytes: Vec<u8> = (0..random.below(40)).map(|_| random.next() as u8).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        1..=3 => {
            let space = random.pick(&["", " ", " ", "\n"]);
            let tokens: Vec<_> = (0..random.below(14)).map(|_| random.pick(&TOKENS)).collect();
            tokens.join(space)
        }
        _ => {
            let mut chars: Vec<char> = filters[random.below(filters.len())].chars().collect();
            for _ in 0..1 + random.below(4) {
                let from = random.below(chars.len() + 1);
                let to = (from + random.below(6)).min(chars.len());
                let insert: Vec<char> = match random.below(6) {
                    0 => Vec::new(),
                    1 => random.pick(&TOKENS).chars().collect(),
                    2 => format!(" {} ", random.pick(&TOKENS)).chars().collect(),
                    3 => char::from_u32(random.below(0x3000) as u32).into_iter().collect(),
                    4 => chars[from..to].repeat(1 + random.below(3)),
                    _ => {
                        let other = &filters[random.below(filters.len())];
                        other.chars().take(random.below(20)).collect()
                    }
                };
                let to = if random.below(2) == 0 { from } else { to };
                chars.splice(from..to, insert);
            }
            chars.into_iter().collect()
        }
    }
}

/// No text makes the parser panic, hang or overflow, nor whatever takes what it has read; and what
/// it has read, it reads again. `MILVUS_DIFFTEST_FUZZ_INPUTS` says how many texts.
#[test]
fn no_text_is_too_bad() {
    let inputs = std::env::var("MILVUS_DIFFTEST_FUZZ_INPUTS");
    let inputs: usize = inputs.map_or(100_000, |inputs| inputs.parse().expect("a number"));
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar));
    let schema = Schema {
        fields: vec![
            scalar("id", Scalar::Int64).primary(),
            scalar("s", Scalar::VarChar),
            scalar("f", Scalar::Float).nullable(),
            Field::new("a", DataType::Array(Scalar::Int64)),
            Field::new("j", DataType::Json),
        ],
        dynamic: true,
    };
    let row = Row { fields: [("id".to_owned(), Value::Int(1))].into(), ..Row::default() };
    let spellings = Spelling::single();
    let spell = |(i, expr)| Filter { expr, spelling: spellings[i % spellings.len()] }.to_string();
    let mut filters: Vec<String> = trees(2, 1000).into_iter().enumerate().map(spell).collect();
    // Most random trees have no types; these do.
    filters.extend((0..500).map(|i| {
        format!("id + {i} > 3 and not (s like 'x%' or f <= {i}.5) or a[{i}] in [1] and j['k'] != 1")
    }));
    let mut random = Random(1);
    let (mut read, mut typed) = (0, 0);
    for _ in 0..inputs {
        let text = nonsense(&mut random, &filters);
        match Filter::parse(&text) {
            Ok(filter) => {
                read += 1;
                let printed = filter.to_string();
                let again = Filter::parse(&printed);
                assert_eq!(again.as_ref(), Ok(&filter.clone().normalised()), "{text}\n{printed}");
                if check(&schema, &filter.expr).is_ok() {
                    typed += 1;
                    let _ = evaluate(&filter.expr, &schema, &row, Semantics::canonical());
                }
            }
            Err(error) => {
                assert!(error.position + error.length <= text.len(), "{text}\n{error:?}");
                assert!(error.render(&text).contains(&error.reason), "{text}");
                assert_eq!(parse(&text), Err(error));
            }
        }
    }
    // Too much nonsense proves nothing either.
    assert!(read * 20 > inputs && typed * 200 > inputs, "{read} read, {typed} typed");
}
