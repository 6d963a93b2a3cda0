//! The values at which implementations go wrong.

use half::f16;
use serde_json::{Value as Json, json};

use crate::schema::Scalar;

/// Integers around the limits of the types, of exact floats and of doubles.
pub(super) fn ints(scalar: Scalar) -> Vec<i64> {
    const ALL: [i64; 27] = [
        0,
        1,
        -1,
        2,
        3,
        7,
        -7,
        10,
        100,
        i8::MAX as i64,
        i8::MIN as i64,
        i8::MAX as i64 + 1,
        255,
        300,
        i16::MAX as i64,
        i16::MIN as i64,
        i32::MAX as i64,
        i32::MIN as i64,
        (1 << 24) - 1,
        1 << 24,
        (1 << 24) + 1,
        (1 << 53) - 1,
        1 << 53,
        (1 << 53) + 1,
        -(1 << 53) - 1,
        i64::MAX,
        i64::MIN,
    ];
    let fits = |i: &i64| scalar.int_range().is_none_or(|range| range.contains(i));
    ALL.into_iter().filter(fits).collect()
}

/// Finite doubles. No negative zero: engines disagree on it in documented ways.
pub(super) const DOUBLES: [f64; 19] = [
    0.0,
    1.0,
    -1.0,
    0.1,
    -0.1,
    0.5,
    1.5,
    2.5,
    100.25,
    1.0 / 3.0,
    1e-7,
    16_777_215.0,
    16_777_216.0,
    16_777_217.0,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    1e15,
    1e300,
    -1e300,
];

/// The same for 32 bits; every one is finite there.
pub(super) fn floats() -> Vec<f32> {
    let small = DOUBLES.iter().filter(|x| x.abs() < 1e30).map(|x| *x as f32);
    small.chain([f32::MAX, f32::MIN, f32::MIN_POSITIVE]).collect()
}

/// Strings with everything that quoting, patterns, encodings and coercions stumble over.
pub(super) const TEXTS: [&str; 24] = [
    "",
    "a",
    "A",
    "b",
    "ab",
    "abc",
    "abcabc",
    "a b",
    " a",
    "a ",
    "a%b",
    "a_b",
    "100%",
    "a\\b",
    "it's",
    "say \"hi\"",
    "1",
    "1.0",
    "true",
    "null",
    "日本語",
    "é",
    "😀",
    "line\nbreak",
];

/// Texts of plain words, short enough for every column.
pub(super) const WORDS: [&str; 8] = ["", "a", "b", "a b", "B a", "ab", "abc", "b ab a"];

/// Object keys. None is made of digits: a JSON pointer could not tell it from an index.
pub(super) const KEYS: [&str; 7] = ["a", "b", "n", "s", "list", "a b", "键"];

/// JSON scalars.
pub(super) fn json_scalars() -> Vec<Json> {
    let mut all = vec![Json::Null, json!(true), json!(false)];
    all.extend([0, 1, -1, 2, 3, 10, (1 << 53) + 1, 1 << 53, i64::MAX, i64::MIN].map(Json::from));
    all.extend([0.0, 1.0, 0.1, 0.5, 1.5, 2.0, 1e300, 9_007_199_254_740_992.0].map(Json::from));
    all.extend(["", "a", "A", "ab", "abc", "a%b", "1", "true", "é", "日本語"].map(Json::from));
    all
}

/// Moments in microseconds: the limits of ISO 8601, of 32-bit seconds and of 64-bit nanoseconds,
/// around the epoch, fractions of every length, and leap days.
pub(super) const MOMENTS: [i64; 22] = [
    0,
    1,
    -1,
    999,
    1000,
    -1000,
    999_999,
    -999_999,
    1_000_000,
    -62_135_596_800_000_000,
    -62_135_596_800_000_000 + 1,
    -62_104_060_800_000_000,
    253_402_300_799_999_999,
    253_402_300_799_000_000,
    -2_208_988_800_000_001,
    951_782_400_000_000,
    1_709_208_000_500_000,
    2_147_483_647_000_000,
    2_147_483_648_000_001,
    -2_147_483_649_123_456,
    9_223_372_036_854_776,
    -9_223_372_036_854_776,
];

/// Points and simple polygons.
pub(super) const GEOMETRIES: [&str; 10] = [
    "POINT (0 0)",
    "POINT (1 2)",
    "POINT (-180 90)",
    "POINT (0.1 -0.2)",
    "POINT (1.5 2.25)",
    "POINT (123456789.123456 0.0000001)",
    "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))",
    "POLYGON ((0 0, 4 0, 0 4, 0 0))",
    "POLYGON ((0 0, 0 4, 4 4, 4 0, 0 0))",
    "POLYGON ((-1.5 -1.5, 1.25 0.1, 0 3.3333333333333335, -1.5 -1.5))",
];

/// Components of vectors: subnormal, negative zero, not exact in fewer bits. None so large that a
/// distance would overflow.
pub(super) const COMPONENTS: [f32; 8] =
    [0.0, -0.0, 1e-45, f32::MIN_POSITIVE, 0.1, 1.0 / 3.0, 65_504.0, 16_777_216.0];

/// The same for 16 bits: the least and the greatest subnormal, the least normal, the greatest.
pub(super) const HALVES: [f16; 10] = [
    f16::ZERO,
    f16::NEG_ZERO,
    f16::from_bits(1),
    f16::from_bits(0x03ff),
    f16::MIN_POSITIVE,
    f16::MAX,
    f16::MIN,
    f16::from_bits(0x2e66),
    f16::from_bits(0x3555),
    f16::NEG_ONE,
];

/// Dimensions of sparse vectors, to the greatest.
pub(super) const INDEXES: [u32; 5] =
    [255, 65_536, i32::MAX as u32, i32::MAX as u32 + 1, u32::MAX - 1];
