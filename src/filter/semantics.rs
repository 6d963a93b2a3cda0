//! The rules on which Milvus versions and engines are known to differ, as named switches.
//!
//! [`Semantics::canonical`] is what the documentation of Milvus 2.6/3.x says; every expected answer
//! is computed with it. The other values exist to test the tester: a simulated engine with a switch
//! turned must be caught.

/// One value per rule. `true` is the canonical value of every switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semantics {
    /// `not` of unknown is unknown. Documentation, "nullable & default"; Kleene logic.
    pub not_unknown_is_unknown: bool,
    /// A null column under `in`/`not in` is unknown, not false/true.
    /// `n not in [1]` leaves out the rows where `n` is null.
    pub null_in_list_is_unknown: bool,
    /// A null array under `array_contains*` is unknown; else false.
    pub null_contains_is_unknown: bool,
    /// A literal compared with a FLOAT column is rounded to 32 bits first: `f == 0.1` finds the
    /// row that was inserted with 0.1. Else the column is widened (milvus#47994).
    pub float_literal_is_rounded: bool,
    /// Integer division truncates towards zero: `-7 / 2` is -3. Else it is a real division.
    pub int_division_truncates: bool,
    /// A missing or null JSON key, or one of another type, is false under `== < <= > >=` and true
    /// under `!=`. Else it is unknown (milvus#47164).
    pub json_mismatch_is_two_valued: bool,
    /// JSON `true` is not the number 1.
    pub json_bool_is_not_a_number: bool,
    /// `exists` is false on `{}` and `[]`, as it is on null. Else true.
    pub exists_needs_content: bool,
    /// An array index out of range makes the comparison false; else unknown.
    pub index_out_of_range_is_false: bool,
    /// `\` in a LIKE pattern takes the next character literally; else it is itself.
    pub like_backslash_escapes: bool,
}

impl Semantics {
    /// What the documentation says.
    pub const fn canonical() -> Semantics {
        Semantics {
            not_unknown_is_unknown: true,
            null_in_list_is_unknown: true,
            null_contains_is_unknown: true,
            float_literal_is_rounded: true,
            int_division_truncates: true,
            json_mismatch_is_two_valued: true,
            json_bool_is_not_a_number: true,
            exists_needs_content: true,
            index_out_of_range_is_false: true,
            like_backslash_escapes: true,
        }
    }
}

impl Default for Semantics {
    fn default() -> Semantics {
        Semantics::canonical()
    }
}
