//! The parser, construct by construct and error by error.

use milvus_difftest::filter::{
    BinaryOp, Bound, Elements, Expr, FieldPath, Filter, Floats, Function, Interval, Literal,
    MAX_DEPTH, Quotes, Radix, Spelling, Step, Strings, UnaryOp, Words, check, evaluate, parse,
};
use milvus_difftest::filter::{Semantics, Truth};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Row, Value};

fn literal(text: &str) -> Literal {
    match parse(text) {
        Ok(Expr::Literal(literal)) => literal,
        other => panic!("{text}: {other:?}"),
    }
}

fn field(name: &str) -> Expr {
    Expr::field(name)
}

fn int(i: i64) -> Expr {
    Expr::Literal(Literal::Int(i))
}

fn path(root: &str, steps: &[Step]) -> FieldPath {
    FieldPath { root: root.to_owned(), steps: steps.to_vec() }
}

fn key(key: &str) -> Step {
    Step::Key(key.to_owned())
}

#[test]
fn integers() {
    let cases = [
        ("0", 0),
        ("16", 16),
        ("020", 16),
        ("00", 0),
        ("0x10", 16),
        ("0XfF", 255),
        ("0b101", 5),
        ("0B0", 0),
        ("-5", -5),
        ("- 5", -5),
        ("+5", 5),
        ("-0x10", -16),
        ("9223372036854775807", i64::MAX),
        ("0x7fffffffffffffff", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("-0x8000000000000000", i64::MIN),
        ("-01000000000000000000000", i64::MIN),
    ];
    for (text, value) in cases {
        assert_eq!(literal(text), Literal::Int(value), "{text}");
    }
}

#[test]
fn floats() {
    let cases = [
        ("0.5", 0.5),
        (".5", 0.5),
        ("3.", 3.0),
        ("5.e-1", 0.5),
        ("5e-1", 0.5),
        ("1E+3", 1000.0),
        ("08.5", 8.5),
        ("00e0", 0.0),
        ("-1.5", -1.5),
        ("1e-400", 0.0),
        ("0x1p-1", 0.5),
        ("0x.8p0", 0.5),
        ("0x1.8P1", 3.0),
        ("-0x1p4", -16.0),
        ("1.7976931348623157e308", f64::MAX),
        ("5e-324", f64::from_bits(1)),
    ];
    for (text, value) in cases {
        assert_eq!(literal(text), Literal::Float(value), "{text}");
    }
}

#[test]
fn strings() {
    let cases = [
        (r#""""#, ""),
        (r#"'a"b'"#, "a\"b"),
        (r#""it's""#, "it's"),
        (r#"'it\'s'"#, "it's"),
        (r#""\"\'\\""#, "\"'\\"),
        (r#""\a\b\f\n\r\t\v""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}"),
        (r#""\101\x41Z\u0041\U0001f600""#, "AAZA😀"),
        (r#""\303\251 \xc3\xa9 \u00e9""#, "é é é"),
        (r#""\377""#, ""),
        ("'\t😀 日本 e\u{301} \0'", "\t😀 日本 e\u{301} \0"),
        (r#"r"a\b""#, "a\\b"),
        (r#"r'\\"\n'"#, "\\\\\"\\n"),
    ];
    for (text, value) in cases {
        if value.is_empty() && text.len() > 2 {
            assert!(parse(text).unwrap_err().reason.contains("no UTF-8"), "{text}");
        } else {
            assert_eq!(literal(text), Literal::Text(value.to_owned()), "{text}");
        }
    }
}

#[test]
fn other_constants() {
    for text in ["true", "True", "TRUE"] {
        assert_eq!(literal(text), Literal::Bool(true));
    }
    for text in ["false", "False", "FALSE"] {
        assert_eq!(literal(text), Literal::Bool(false));
    }
    assert_eq!(literal("{x}"), Literal::Template("x".to_owned()));
    assert_eq!(literal("{ x_1 }"), Literal::Template("x_1".to_owned()));
    let one = Literal::Int(1);
    assert_eq!(literal("[]"), Literal::List(vec![]));
    assert_eq!(literal("[1, 1,]"), Literal::List(vec![one.clone(), one.clone()]));
    assert_eq!(literal("[[1], 2 - 1]"), Literal::List(vec![Literal::List(vec![one.clone()]), one]));
    assert_eq!(literal("ISO '1970-01-01T00:00:00.000001Z'"), Literal::Timestamp(1));
    assert_eq!(literal("iso \"1970-01-01T01:00:00+01:00\""), Literal::Timestamp(0));
}

#[test]
fn fields_and_paths() {
    let cases = [
        ("a", path("a", &[])),
        ("_a1", path("_a1", &[])),
        ("None", path("None", &[])),
        ("j[\"k\"]", path("j", &[key("k")])),
        ("j['k'][0][\"键\"]", path("j", &[key("k"), Step::Index(0), key("键")])),
        ("a[4294967295]", path("a", &[Step::Index(u32::MAX)])),
        ("$meta", path("$meta", &[])),
        ("$meta['x y']", path("$meta", &[key("x y")])),
        // Keys are what stands between the quotes, escapes and all.
        (r#"j["a\nb"]"#, path("j", &[key("a\\nb")])),
        (r#"j["it's ]["]"#, path("j", &[key("it's ][")])),
        ("j['']", path("j", &[key("")])),
    ];
    for (text, path) in cases {
        assert_eq!(parse(text), Ok(Expr::Field(path)), "{text}");
    }
}

/// Each text and what it is printed as, fully parenthesised.
#[test]
fn operators_and_their_precedence() {
    let cases = [
        ("a == 1 and b != 2 or c < 3", "((a == 1) and (b != 2)) or (c < 3)"),
        ("a==1&&b!=2||c<3", "((a == 1) and (b != 2)) or (c < 3)"),
        ("a == 1 AND NOT (b > 2) OR !(c <= 3)", "((a == 1) and (not (b > 2))) or (not (c <= 3))"),
        ("a or b and c", "a or (b and c)"),
        ("a or b or c", "(a or b) or c"),
        ("a and b and c and d", "(a and b) and (c and d)"),
        ("a or (b or c)", "a or (b or c)"),
        ("a + 1 in [2] and b == 3", "((a + 1) in [2]) and (b == 3)"),
        ("a % 2 not in [1]", "(a % 2) not in [1]"),
        ("a IN [1] == true", "(a in [1]) == true"),
        ("a NOT IN []", "a not in []"),
        ("a in {list}", "a in {list}"),
        ("1 - 2 - 3 == a", "((1 - 2) - 3) == a"),
        ("a - b * c / d % e > 0", "(a - (((b * c) / d) % e)) > 0"),
        ("2 ** 3 ** 2 == a", "((2 ** 3) ** 2) == a"),
        ("-2 ** 2 == a", "(-(2 ** 2)) == a"),
        ("(-2) ** 2 == a", "((-2) ** 2) == a"),
        ("2 ** -1 == a", "(2 ** -1) == a"),
        ("-a * b == 1", "((-a) * b) == 1"),
        ("a - -5 == - - 5", "(a - -5) == (-(-5))"),
        ("a -5 == +b", "(a - 5) == b"),
        ("-(5) == ~a", "(-(5)) == (~a)"),
        ("a & 4 == 4", "a & (4 == 4)"),
        ("(a & 4) == 4", "(a & 4) == 4"),
        ("a | b ^ c & d", "a | (b ^ (c & d))"),
        ("a & b and c", "(a & b) and c"),
        ("a == b < c", "a == (b < c)"),
        ("a + 1 < 2 == b", "((a + 1) < 2) == b"),
        ("a == 1 == b", "(a == 1) == b"),
        ("not s like \"x%\"", "not (s like \"x%\")"),
        ("a + s LIKE r'\\%'", "a + (s like \"\\\\%\")"),
        ("not s is null", "not (s is null)"),
        ("s IS NOT NULL and j['k'] is null", "(s is not null) and (j[\"k\"] is null)"),
        ("exists j[\"k\"] and a == 1", "(exists j[\"k\"]) and (a == 1)"),
        ("not EXISTS x", "not (exists x)"),
        ("exists (j['a']['b'])", "exists j[\"a\"][\"b\"]"),
        ("not not a", "not (not (a))"),
        ("! ! a", "not (not (a))"),
        ("a\r\n\t==\n1", "a == 1"),
        ("a == [1, 2.0, 'x']", "a == [1, 2.0, \"x\"]"),
        ("[1] != a", "[1] != a"),
        ("a == {x} and {y} < b", "(a == {x}) and ({y} < b)"),
        ("1 < a <= 4", "1 < a <= 4"),
        ("4>=a[0]>1", "4 >= a[0] > 1"),
        ("1 < a < 4 and b == 1", "(1 < a < 4) and (b == 1)"),
        ("b == 1 < a < 4", "b == (1 < a < 4)"),
        ("1 + 1 <= j['k'] < -2 * -3", "2 <= j[\"k\"] < 6"),
        ("{lo} <= a <= {hi}", "{lo} <= a <= {hi}"),
        ("'a' < s < 'b'", "\"a\" < s < \"b\""),
        ("tsz > ISO '2026-01-31T00:00:00Z'", "tsz > ISO '2026-01-31T00:00:00Z'"),
        ("ISO '2026-01-31T00:00:00Z' < tsz", "ISO '2026-01-31T00:00:00Z' < tsz"),
        (
            "tsz + INTERVAL 'P1DT2H' != iso '2026-01-31T02:00:00+02:00'",
            "tsz + INTERVAL 'P1DT2H' != ISO '2026-01-31T00:00:00Z'",
        ),
        (
            "ISO '2026-01-31T00:00:00Z' >= tsz - interval \"P1Y\"",
            "ISO '2026-01-31T00:00:00Z' >= tsz - INTERVAL 'P12M'",
        ),
        ("Array_Length(a) > 0", "array_length(a) > 0"),
        ("ARRAY_CONTAINS(a, -1)", "array_contains(a, -1)"),
        ("array_contains_all(a, [1, 2,])", "array_contains_all(a, [1, 2])"),
        ("array_contains_any(a, {x})", "array_contains_any(a, {x})"),
        ("json_contains(j['k'], [1, [2]])", "json_contains(j[\"k\"], [1, [2]])"),
        ("json_contains_all(x, [])", "json_contains_all(x, [])"),
        (
            "json_contains_any($meta['x'], [[1], 'a'])",
            "json_contains_any($meta[\"x\"], [[1], \"a\"])",
        ),
        ("TEXT_MATCH(s, 'a b')", "text_match(s, \"a b\")"),
        (
            "text_match(s, 'a b', minimum_should_match = 2)",
            "text_match(s, \"a b\", minimum_should_match=2)",
        ),
        ("phrase_match(s, 'a b')", "phrase_match(s, \"a b\")"),
        ("phrase_match(s, 'a b', 2)", "phrase_match(s, \"a b\", 2)"),
        ("ST_EQUALS(g, 'POINT (1 2)')", "st_equals(g, \"POINT (1 2)\")"),
        (
            "st_contains(g, 'x') or st_within(g, 'x')",
            "st_contains(g, \"x\") or st_within(g, \"x\")",
        ),
        ("st_intersects(g, 'x')", "st_intersects(g, \"x\")"),
        ("st_touches(g, 'x')", "st_touches(g, \"x\")"),
        ("st_overlaps(g, 'x')", "st_overlaps(g, \"x\")"),
        ("st_crosses(g, 'x')", "st_crosses(g, \"x\")"),
        ("ST_DWITHIN(g, 'x', 0x10)", "st_dwithin(g, \"x\", 16)"),
        ("not ST_ISVALID(g)", "not (st_isvalid(g))"),
        (
            "element_filter(s, $[a] > 1 and $[b] == 'x')",
            "element_filter(s, ($[a] > 1) and ($[b] == \"x\"))",
        ),
        ("MATCH_ANY(s, $[a] is null)", "match_any(s, $[a] is null)"),
        ("match_all(s, 1 < $[a] < 2)", "match_all(s, 1 < $[a] < 2)"),
        ("match_least(s, $[a] == 1, threshold=2)", "match_least(s, $[a] == 1, threshold=2)"),
        ("match_most(s, $[a] == 1, threshold = 0)", "match_most(s, $[a] == 1, threshold=0)"),
        ("Match_Exact(s, $[a] == 1, THRESHOLD=3)", "match_exact(s, $[a] == 1, threshold=3)"),
    ];
    for (text, printed) in cases {
        let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(expr.to_string(), printed, "{text}");
        assert_eq!(parse(printed), Ok(expr), "{printed}");
    }
}

#[test]
fn trees_are_what_they_say() {
    let bound = |value, inclusive| Bound { value: Literal::Int(value), inclusive };
    assert_eq!(
        parse("4 >= a > 1"),
        Ok(Expr::Range {
            operand: FieldPath::new("a"),
            low: bound(1, false),
            high: bound(4, true),
            descending: true,
        })
    );
    let minus = |operand| Expr::Unary { op: UnaryOp::Negate, operand: Box::new(operand) };
    let power = Expr::binary(int(5), BinaryOp::Pow, int(2));
    assert_eq!(parse("-5 ** 2"), Ok(minus(power)));
    assert_eq!(parse("-(5)"), Ok(minus(int(5))));
    assert_eq!(parse("--5"), Ok(minus(int(-5))));
    let interval = Literal::Interval(Interval { months: 14, days: 10, micros: 1_500_000 });
    let moved = Expr::binary(field("t"), BinaryOp::Sub, Expr::Literal(interval));
    assert_eq!(
        parse("t - INTERVAL 'P1Y2M1W3DT1.5S' > ISO '1970-01-01T00:00:00Z'"),
        Ok(Expr::binary(moved, BinaryOp::Gt, Expr::Literal(Literal::Timestamp(0))))
    );
    assert_eq!(
        parse("match_most(s, $[a], threshold=7)"),
        Ok(Expr::Elements {
            elements: Elements::Most(7),
            field: "s".to_owned(),
            predicate: Box::new(Expr::Field(FieldPath::member("a"))),
        })
    );
    assert_eq!(
        parse("st_dwithin(g, 'x', 1.5)"),
        Ok(Expr::Call {
            function: Function::StDwithin,
            operand: FieldPath::new("g"),
            arguments: vec![Literal::Text("x".to_owned()), Literal::Float(1.5)],
        })
    );
}

/// The filter, the part that is pointed at, the reason, and what to write instead.
#[test]
fn errors_point_and_suggest() {
    let cases: &[(&str, &str, &str, Option<&str>)] = &[
        // Nothing, or not all of it.
        ("", "", "the filter is empty", None),
        (" \n", " \n", "the filter is empty", None),
        ("a >", "", "ends where an operand should be", None),
        ("a > ", "", "ends where an operand should be", None),
        ("(a > 1", "", "ends where `)` should be", None),
        ("a > 1)", ")", "expected an operator or the end", None),
        ("a > 1 b", "b", "expected an operator or the end", None),
        ("a in [1", "", "ends where `]` should be", None),
        ("a in [1 2]", "2", "expected `]`", None),
        ("a in [,]", ",", "expected an operand", None),
        ("a in", "", "ends where a list in brackets, or a template should be", None),
        ("a and and b", "and", "`and` is a keyword and names no field", None),
        ("a > * 2", "*", "expected an operand", None),
        // Operators of other languages.
        ("a = 1", "=", "equality is written", Some("==")),
        ("a <> 1", "<>", "inequality is written", Some("!=")),
        ("a => 1", "=>", "at least", Some(">=")),
        ("a =< 1", "=<", "at most", Some("<=")),
        ("a ! b", "!", "stands before an operand", None),
        ("= 1", "=", "equality is written", Some("==")),
        ("a =~ 'x'", "=~", "regular expressions are not supported", None),
        ("a !~ 'x'", "!~", "regular expressions are not supported", None),
        ("a << 1 == 2", "<<", "shifts are reserved", None),
        ("a >> 1 == 2", ">>", "shifts are reserved", None),
        ("a between 1 and 2", "between", "a range is written", None),
        ("s ilike 'x'", "ilike", "only `like`", None),
        ("a xor b", "xor", "no `xor`", None),
        ("a contains 1", "contains", "array_contains(a, x)", None),
        ("a in (1, 2)", "(1, 2)", "square brackets", Some("[1, 2]")),
        ("a in (f(1))", "(", "square brackets", None),
        ("a in 1", "1", "expected a list in brackets, or a template", None),
        ("s like 1", "1", "expected a pattern in quotes", None),
        ("s like {p}", "{p}", "expected a pattern in quotes", None),
        ("s not like 'x'", "not like", "before the whole term", None),
        ("a not 1", "not", "`in` follows `not`", None),
        // Null.
        ("a is None", "is None", "only null", Some("is null")),
        ("a is not nil", "is not nil", "only null", Some("is not null")),
        ("a is", "", "ends where `null` should be", None),
        ("a is 1", "1", "expected `null`", None),
        ("a is  null", "is  null", "single blanks", Some("is null")),
        ("a Is Not Null", "Is Not Null", "all in one case", Some("is not null")),
        ("(a) is null", "is null", "after a field or a path", None),
        ("1 is not null", "is not null", "after a field or a path", None),
        ("a == null", "== null", "nothing compares with null", Some("is null")),
        ("a != NULL", "!= NULL", "nothing compares with null", Some("is not null")),
        ("null == a", "null", "null is no constant", None),
        ("a in [null]", "null", "null is no constant", None),
        // `not`
        ("not a == 1", "not a == 1", "binds tighter", Some("not (a == 1)")),
        ("b and NOT a in [1] or c", "NOT a in [1]", "binds tighter", Some("NOT (a in [1])")),
        ("!a < 1 + 2 and b", "!a < 1 + 2", "binds tighter", Some("!(a < 1 + 2)")),
        ("not 1 < a < 2", "not 1 < a < 2", "binds tighter", Some("not (1 < a < 2)")),
        ("not not a == 1", "not a == 1", "binds tighter", Some("not (a == 1)")),
        ("not a == ", "", "ends where an operand should be", None),
        // Keywords and functions.
        ("a And b", "And", "lower case or in upper case", Some("and")),
        ("a > 1 Or b", "Or", "lower case or in upper case", Some("or")),
        ("a In [1]", "In", "lower case or in upper case", Some("in")),
        ("Not (a)", "Not", "is a keyword", Some("not")),
        ("like > 1", "like", "`like` is a keyword and names no field", None),
        ("in == 1", "in", "`in` is a keyword", None),
        ("exists < 2", "<", "expected an operand", None),
        ("array_length > 1", "array_length", "is a function and names no field", None),
        ("match_any == 1", "match_any", "is a function and names no field", None),
        ("iso > 1", ">", "expected a time in quotes", None),
        ("INTERVAL 'P1D'", "INTERVAL", "follows `+` or `-`", None),
        ("array_contain(a, 1)", "array_contain", "no function is", Some("array_contains")),
        ("ST_INTERSECT(g, 'x')", "ST_INTERSECT", "no function is", Some("st_intersects")),
        ("zzz(a)", "zzz", "no function is `zzz`", None),
        ("random_sample(0.1)", "random_sample", "another answer each time", None),
        ("text_match_fuzzy(s, 'a', 1)", "text_match_fuzzy", "is not supported", None),
        ("array_length(a, 1) > 0", "array_length(a, 1)", "takes one argument", None),
        ("array_contains(a)", "array_contains(a)", "takes 2 arguments", None),
        ("phrase_match(s)", "phrase_match(s)", "takes 2 arguments or 3", None),
        ("st_dwithin(g, 'x')", "st_dwithin(g, 'x')", "takes 3 arguments", None),
        ("text_match(s, 'a', 1)", "1", "expected `minimum_should_match=`", None),
        ("array_contains(1, 1)", "1", "expected a field or a path", None),
        ("array_contains(a, b)", "b", "are constants", None),
        ("array_contains(a, 1 / 0)", "1", "division by zero", None),
        ("match_any(s, a", "", "ends where `)` should be", None),
        ("match_any(s['a'], b)", "s['a']", "takes the name of a field", None),
        ("match_least(s, b)", ")", "expected `,`", None),
        ("match_least(s, b, 2)", "2", "expected `threshold=`", None),
        ("match_least(s, b, threshold=-2)", "-", "from 0 to 2^32 - 1", None),
        ("match_any(s, match_all(t, true))", "match_all", "inside of another", None),
        ("$[a] > 1", "$[a]", "inside of `element_filter`", None),
        ("match_any(s, $[a]) and $[b] > 1", "$[b]", "inside of `element_filter`", None),
        // Ranges and lists.
        ("1 < a > 2", ">", "comparisons do not chain", None),
        ("a < 4 > 0", ">", "comparisons do not chain", None),
        ("1 < a + 1 < 5", "<", "comparisons do not chain", None),
        ("1 < a < 2 < 3", "<", "comparisons do not chain", None),
        ("b < a < 2", "b", "has constants outside", None),
        ("1 < a < b", "b", "has constants outside", None),
        ("a in [b]", "b", "elements of a list are constants", None),
        ("a in [1, {x}]", "{x}", "stands for a whole list", None),
        ("a in [1 + 'x']", "1", "no such arithmetic", None),
        // Numbers.
        ("a == 9223372036854775808", "9223372036854775808", "beyond 64 bits", None),
        ("a == -9223372036854775809", "9223372036854775809", "beyond 64 bits", None),
        ("a == 18446744073709551616", "18446744073709551616", "beyond 64 bits", None),
        ("-9223372036854775808 ** 2 == a", "9223372036854775808", "beyond 64 bits", None),
        ("a == 08", "08", "is octal", None),
        ("a == 0x", "0x", "hexadecimal digits", None),
        ("a == 0xg", "0xg", "hexadecimal digits", None),
        ("a == 0b2", "0b2", "binary digits", None),
        ("a == 0x1.8", "0x1.8", "has an exponent", None),
        ("a == 0x1p", "0x1p", "has no digits", None),
        ("a == 1e", "1e", "has no digits", None),
        ("a == 1e400", "1e400", "range of a double", None),
        ("a == 5abc", "5abc", "neither a number nor a name", None),
        ("a == 1_000", "1_000", "neither a number nor a name", None),
        // Strings.
        ("s == 'a", "'a", "does not end", None),
        ("s == 'a\nb'", "'a", "does not end on its line", None),
        (r"s == 'a\", r"\", "does not end", None),
        (r"s == 'a\?'", r"\?", "no such escape", None),
        (r"s == 'é\q'", r"\q", "no such escape", None),
        (r"s == '\12'", r"\1", "three digits", None),
        (r"s == '\x4'", r"\x", "exactly two digits", None),
        (r"s == '\x41b'", r"\x", "exactly two digits", None),
        (r"s == '\ud800'", r"\u", "of a character", None),
        (r"s == '\xff'", r"'\xff'", "no UTF-8", None),
        ("s == 'a\\\nb'", "\\\n", "no such escape", None),
        ("s == u'a'", "u", "no such prefix", Some("")),
        (r"s == r'a\'", r"r'a\'", "raw string", None),
        ("s == r'a", "r'a", "does not end", None),
        ("s == “a”", "“", "straight quotes", Some("\"")),
        ("s == `a`", "`", "straight quotes", Some("'")),
        // Paths.
        ("j ['k'] == 1", "j ['k']", "a path is one word", Some("j['k']")),
        ("j['k' ] == 1", "j['k' ]", "a path is one word", Some("j['k']")),
        ("j[ 'a' ] [ 0 ] == 1", "j[ 'a' ] [ 0 ]", "a path is one word", Some("j['a'][0]")),
        ("j.k == 1", "j.k", "in brackets", Some("j[\"k\"]")),
        ("j['a'].b == 1", "j['a'].b", "in brackets", Some("j['a'][\"b\"]")),
        ("a[-1] == 1", "-", "none is negative", None),
        ("a[01] == 1", "01", "decimal number below 2^32", None),
        ("a[4294967296] == 1", "4294967296", "decimal number below 2^32", None),
        ("a[b] == 1", "[", "keys in quotes, and indices", None),
        ("a['b' == 1", "['b' ", "not closed", None),
        ("a[] == 1", "[", "keys in quotes, and indices", None),
        ("$metal['x'] == 1", "$metal", "only `$meta`", None),
        ("$x == 1", "$x", "only `$meta`", None),
        ("$[1] == 1", "$[", "`$[name]`", None),
        ("{1} == a", "{", "`{name}`", None),
        ("{in} == a", "{in", "`{name}`", None),
        // Characters.
        ("键 == 1", "键", "ASCII letters", None),
        ("a . b", ".", "only in a number", None),
        ("a == 1;", ";", "no character ';'", None),
        ("a # b", "#", "no character '#'", None),
        ("a\u{c}== 1", "\u{c}", "no character '\\u{c}'", None),
        ("a ? b", "?", "no character '?'", None),
        // The first error counts, also before one of the lexer.
        ("a = 1 and 'x", "=", "equality is written", Some("==")),
        ("exists 1", "1", "takes a path", None),
        // Times.
        ("t > ISO 'today'", "'today'", "no time with an offset", None),
        ("t > ISO '2026-01-01T00:00:00'", "'2026-01-01T00:00:00'", "no time with an offset", None),
        ("t + INTERVAL '1 day' > ISO '2026-01-01T00:00:00Z'", "'1 day'", "no interval", None),
        ("t + INTERVAL '-P1D' > ISO '2026-01-01T00:00:00Z'", "'-P1D'", "no interval", None),
        ("j['t'] + INTERVAL 'P1D' > t", "j['t']", "added to a bare field", None),
    ];
    let mut wrong = Vec::new();
    for (text, part, reason, suggestion) in cases {
        let error = parse(text).expect_err(text);
        let at = text.get(error.position..error.position + error.length);
        let said = error.to_string();
        let place = format!("cannot parse the filter at byte {}: ", error.position);
        if at != Some(part)
            || !error.reason.contains(reason)
            || error.suggestion.as_deref() != *suggestion
            || !said.starts_with(&place)
            || said.contains('\n')
        {
            wrong.push(format!("{text}: {error:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Applying a suggestion leads on: that error is gone.
    for (text, _, _, suggestion) in cases {
        if let Some(suggestion) = suggestion {
            let error = parse(text).expect_err(text);
            let mut better = (*text).to_owned();
            better.replace_range(error.position..error.position + error.length, suggestion);
            assert_ne!(parse(&better).err().as_ref(), Some(&error), "{better}");
        }
    }
}

#[test]
fn errors_are_shown_in_place() {
    let shown = |text: &str| parse(text).unwrap_err().render(text);
    assert_eq!(
        shown("s == '日本' and\nnot a == 1"),
        "not a == 1\n^^^^^^^^^^ `not` binds tighter than a comparison\nwrite `not (a == 1)`"
    );
    assert_eq!(
        shown("s == '日本' = 1"),
        "s == '日本' = 1\n            ^ equality is written `==`\nwrite `==`"
    );
    assert_eq!(shown("s == u'a'").lines().last(), Some("leave it out"));
}

#[test]
fn spellings_are_read_from_the_text() {
    let plain = Spelling::default();
    let cases = [
        ("a == 1", plain),
        ("a == 1 AND b == 2", Spelling { words: Words::Upper, ..plain }),
        ("a IN [TRUE] or b", Spelling { words: Words::Upper, ..plain }),
        ("a == 1 && b in [2] && true", Spelling { words: Words::Symbols, ..plain }),
        ("!(a not in [1] == true)", Spelling { words: Words::Symbols, ..plain }),
        ("a == 1 && b == 2 and c == 3", plain),
        ("a == 'x'", Spelling { quotes: Quotes::Single, ..plain }),
        ("a['k'] == \"x\" and b['l'] == 1", Spelling { quotes: Quotes::Single, ..plain }),
        ("a['\"'] == 1", plain),
        ("t > ISO '2026-01-01T00:00:00Z'", plain),
        ("a == 0x10", Spelling { radix: Radix::Hexadecimal, ..plain }),
        ("a == 020 and b[3] == 0", Spelling { radix: Radix::Octal, ..plain }),
        ("a in [0b1, 0b10, 7]", Spelling { radix: Radix::Binary, ..plain }),
        ("a == -9223372036854775808", plain),
        (
            "match_least(s, $[a] == 0x1, threshold=2)",
            Spelling { radix: Radix::Hexadecimal, ..plain },
        ),
        ("a == 5e-1", Spelling { floats: Floats::Exponent, ..plain }),
        ("a == 1e300", plain),
        ("a == .5", plain),
        ("a == \"\\u00e9\"", Spelling { strings: Strings::Unicode, ..plain }),
        ("a == r\"x\"", Spelling { strings: Strings::Raw, ..plain }),
        ("a == \"x\" and b == r\"y\"", plain),
    ];
    for (text, spelling) in cases {
        assert_eq!(Filter::parse(text).unwrap().spelling, spelling, "{text}");
    }
}

fn schema() -> Schema {
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar));
    Schema {
        fields: vec![scalar("id", Scalar::Int64).primary(), scalar("s", Scalar::VarChar)],
        dynamic: true,
    }
}

/// Works on a thread with so much stack. Others have 2 MiB.
fn with_stack<T: Send>(kibibytes: usize, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(kibibytes << 10);
        builder.spawn_scoped(scope, work).expect("a thread").join().expect("no panic")
    })
}

/// Everything that walks a tree, on half of the usual stack.
fn walk(text: &str) {
    with_stack(1024, || {
        let expr = parse(text).unwrap_or_else(|error| panic!("{text:.100}: {error}"));
        let printed = expr.to_string();
        assert_eq!(parse(&printed), Ok(expr.clone()));
        let _ = check(&schema(), &expr);
        let row = Row { fields: [("id".to_owned(), Value::Int(1))].into(), ..Row::default() };
        let _ = evaluate(&expr, &schema(), &row, Semantics::canonical());
        assert!(expr.nodes() > 0);
        assert!(!format!("{expr:?}").is_empty());
    });
}

#[test]
fn what_nests_is_bounded() {
    let nest = |open: &str, inside: &str, close: &str, times: usize| {
        format!("{}{inside}{}", open.repeat(times), close.repeat(times))
    };
    let kinds: [(&str, &str, &str); 12] = [
        ("(", "id == 1", ")"),
        ("not (", "id == 1", ")"),
        ("!", "true", ""),
        ("-", "id", ""),
        ("-(", "id", ")"),
        ("~", "id", ""),
        ("id in [", "1", "]"),
        ("[", "1", "]"),
        ("(id == 1) and (", "true", ")"),
        ("1 + (2 * (", "id", "))"),
        ("", "id", " + 1"),
        ("", "id", " in [1]"),
    ];
    for (open, inside, close) in kinds {
        if open != "id in [" {
            walk(&nest(open, inside, close, 40));
        }
        for times in [MAX_DEPTH - 2, 500, 100_000] {
            let text = nest(open, inside, close, times);
            match with_stack(1024, || parse(&text)) {
                Ok(expr) => {
                    assert!(times < 2 * MAX_DEPTH, "{open} {times}");
                    drop(expr);
                    walk(&text);
                }
                Err(error) => assert!(
                    error.reason.contains("nested deeper than 200")
                        || error.reason.contains("constants"),
                    "{open}: {error}"
                ),
            }
        }
    }
    // Every level of precedence at every level of nesting, which is the deepest recursion.
    let deep = "a or a and a | a ^ a & a == a < a + a * a ** (".repeat(100);
    let error = with_stack(1024, || parse(&deep)).unwrap_err();
    assert!(error.reason.contains("nested deeper"), "{error}");
}

#[test]
fn long_chains_and_lists() {
    for (term, op) in [("id == 1", " or "), ("s != 'x'", " and "), ("x > 1", " && ")] {
        walk(&vec![term; 10_000].join(op));
    }
    let both = vec!["id == 1 and s == 'x' or not (id in [2])"; 5_000].join(" or ");
    walk(&both);
    walk(&format!("id in [{}]", vec!["-12345"; 10_000].join(", ")));
    walk(&format!("x in [{}]", vec!["'日本'"; 10_000].join(",")));
    walk(&format!("x == [{}]", vec!["[1]"; 10_000].join(",")));
    // What does not associate is bounded instead.
    let sum = format!("id{} == 1", " + 1".repeat(10_000));
    assert!(parse(&sum).unwrap_err().reason.contains("nested deeper"));
}

/// A chain means what it meant before it was balanced.
#[test]
fn balancing_changes_no_answer() {
    let row = Row { fields: [("id".to_owned(), Value::Int(37))].into(), ..Row::default() };
    for count in 1..=70_i64 {
        let terms: Vec<String> = (0..count).map(|i| format!("id == {i}")).collect();
        let any = parse(&terms.join(" or ")).unwrap();
        let truth = evaluate(&any, &schema(), &row, Semantics::canonical());
        assert_eq!(truth, Ok(if count > 37 { Truth::True } else { Truth::False }));
        let mut order = Vec::new();
        any.for_each_literal(&mut |literal| order.push(literal.clone()));
        assert_eq!(order, (0..count).map(Literal::Int).collect::<Vec<_>>());
    }
}
