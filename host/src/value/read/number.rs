//! Numbers out of JSON, by type.

use jackfield_wire::Type;
use wasmtime::component::Val;

/// A whole number as the type has it; `None` when the type has none or it is out of range.
pub(super) fn of_integer(ty: &Type, value: i128) -> Option<Val> {
    Some(match ty {
        Type::S8 => Val::S8(value.try_into().ok()?),
        Type::U8 => Val::U8(value.try_into().ok()?),
        Type::S16 => Val::S16(value.try_into().ok()?),
        Type::U16 => Val::U16(value.try_into().ok()?),
        Type::S32 => Val::S32(value.try_into().ok()?),
        Type::U32 => Val::U32(value.try_into().ok()?),
        Type::S64 => Val::S64(value.try_into().ok()?),
        Type::U64 => Val::U64(value.try_into().ok()?),
        Type::F32 | Type::F64 => return of_float(ty, value as f64),
        _ => return None,
    })
}

/// A number with a fraction or an exponent as the type has it.
///
/// Many writers of JSON put `3.0` for 3, so an integer type takes it, as long as it is certain
/// that the writer's number had no fraction.
pub(super) fn of_float(ty: &Type, value: f64) -> Option<Val> {
    match ty {
        Type::F64 => Some(Val::Float64(value)),
        Type::F32 => {
            let narrow = value as f32;
            (narrow.is_finite() || !value.is_finite()).then_some(Val::Float32(narrow))
        }
        _ if value.fract() == 0.0 && value.abs() <= MAX_WHOLE => of_integer(ty, value as i128),
        _ => None,
    }
}

/// The numbers that JSON writes as strings.
pub(super) fn of_text(ty: &Type, text: &str) -> Option<Val> {
    match (ty, text) {
        (Type::F32 | Type::F64, "NaN") => of_float(ty, f64::NAN),
        (Type::F32 | Type::F64, "Infinity") => of_float(ty, f64::INFINITY),
        (Type::F32 | Type::F64, "-Infinity") => of_float(ty, f64::NEG_INFINITY),
        (Type::S64 | Type::U64, _) => of_integer(ty, decimal(text)?),
        _ => None,
    }
}

/// A decimal integer in its only form: no `+`, no leading zeros, no `-0`, no spaces.
fn decimal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if text != "0" && (!plain || digits.len() > MAX_DIGITS) {
        return None;
    }
    text.parse().ok()
}

/// 2^53: beyond it, not every whole number has a floating-point number of its own.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// The digits of the largest `u64`.
const MAX_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_carry_a_zero_fraction() {
        assert_eq!(of_float(&Type::U8, 3.0), Some(Val::U8(3)));
        assert_eq!(of_float(&Type::S8, -0.0), Some(Val::S8(0)));
        assert_eq!(of_float(&Type::U8, 3.5), None);
        assert_eq!(of_float(&Type::U64, 1e19), None);
    }

    #[test]
    fn a_number_out_of_range_is_none() {
        assert_eq!(of_integer(&Type::U8, 256), None);
        assert_eq!(of_integer(&Type::U64, -1), None);
        assert_eq!(of_float(&Type::F32, 1e39), None);
    }

    #[test]
    fn decimal_text_has_one_form() {
        assert_eq!(of_text(&Type::U64, "18446744073709551615"), Some(Val::U64(u64::MAX)));
        assert_eq!(of_text(&Type::S64, "-9223372036854775808"), Some(Val::S64(i64::MIN)));
        for text in ["", "-", "+1", "01", "-0", " 1", "1.0", "0x1", "99999999999999999999999"] {
            assert_eq!(of_text(&Type::S64, text), None, "{text:?}");
        }
    }
}
