//! Words of the command line, read by the type of their parameter into the JSON that a call takes.
//!
//! - A `string` is the word as it stands; a `char`, an enum or a case is its bare name.
//! - A number is a number; `NaN`, `Infinity`, `inf` and the like are floating-point numbers too.
//! - An option is its value, or `null` or `none`.
//! - Everything else is JSON if it is JSON of the right kind, and WAVE otherwise.
//!
//! What is wrong deep inside JSON is left to the host, which tells it with its path.

mod wave;

use jackfield_wire::Type;
use jackfield_wire::ty::nearest;
use serde_json::{Value, json};

/// Reads one word as a value of type `ty`.
///
/// # Errors
/// When the word cannot be one. The text says what was expected, in one line.
pub(crate) fn read_word(text: &str, ty: &Type) -> Result<Value, String> {
    match ty {
        Type::String => Ok(text.into()),
        Type::Option(item) => optional(text, ty, item),
        Type::Char => {
            char_of(text).or_else(|| structured(text, ty).ok()).ok_or_else(|| wrong(text, ty))
        }
        Type::Bool => text.parse().map(Value::Bool).map_err(|_| wrong(text, ty)),
        Type::F32 | Type::F64 => float(text).ok_or_else(|| wrong(text, ty)),
        Type::Enum { cases, .. } => {
            let names = cases.iter().map(String::as_str);
            name(text, names).map_err(|hint| wrong(text, ty) + &hint)
        }
        ty if ty.range().is_some() => integer(text, ty).ok_or_else(|| wrong(text, ty)),
        Type::Variant { cases, .. } => {
            let bare = cases.iter().filter(|case| case.ty.is_none());
            name(text, bare.map(|case| &*case.name)).or_else(|_| structured(text, ty))
        }
        ty => structured(text, ty),
    }
}

fn optional(text: &str, ty: &Type, item: &Type) -> Result<Value, String> {
    if matches!(text, "null" | "none") {
        return Ok(Value::Null);
    }
    if text.starts_with("some(")
        && let Ok(value) = wave::read(text, ty)
    {
        return Ok(value);
    }
    if item.is_option() { structured(text, ty) } else { read_word(text, item) }
}

/// JSON of the right kind, or WAVE.
fn structured(text: &str, ty: &Type) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value) if fits(&value, ty) => Ok(value),
        _ => wave::read(text, ty).map_err(|reason| format!("{}: {reason}", wrong(text, ty))),
    }
}

/// Whether the outermost of a value is of the type's kind.
fn fits(value: &Value, ty: &Type) -> bool {
    match ty {
        Type::List(item) if **item == Type::U8 => value.is_array() || value.is_object(),
        Type::List(_) | Type::Tuple(_) | Type::Flags { .. } => value.is_array(),
        Type::Record { .. } | Type::Result { .. } => value.is_object(),
        Type::Variant { .. } => value.is_object() || value.is_string(),
        Type::Char | Type::Enum { .. } => value.is_string(),
        Type::Option(_) => value.is_null() || value.is_object(),
        _ => false,
    }
}

fn char_of(text: &str) -> Option<Value> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none()).map(|c| c.to_string().into())
}

fn integer(text: &str, ty: &Type) -> Option<Value> {
    let (min, max) = ty.range()?;
    let number = match text.parse::<i128>() {
        Ok(number) => number,
        Err(_) => whole(text.parse().ok()?)?,
    };
    let fits = (min..=max).contains(&number);
    fits.then(|| i64::try_from(number).map_or_else(|_| json!(number as u64), Value::from))
}

/// `3.0` and `1e3` are whole numbers too, as far as floating-point numbers are exact.
fn whole(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() <= MAX_WHOLE).then_some(number as i128)
}

fn float(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    let named = || text.to_lowercase().contains("inf");
    match (number.is_nan(), number.is_infinite(), number > 0.0) {
        (true, ..) => Some("NaN".into()),
        (_, true, true) => named().then(|| "Infinity".into()),
        (_, true, false) => named().then(|| "-Infinity".into()),
        _ => Some(number.into()),
    }
}

/// A name, with or without WAVE's `%`; otherwise a hint.
fn name<'a>(text: &str, known: impl Iterator<Item = &'a str> + Clone) -> Result<Value, String> {
    let bare = text.strip_prefix('%').unwrap_or(text);
    if known.clone().any(|name| name == bare) {
        return Ok(bare.into());
    }
    Err(nearest(bare, known).map_or_else(String::new, |near| format!("; did you mean {near}?")))
}

/// What was expected: the type, its range or definition, and an example where that is not plain.
fn wrong(text: &str, ty: &Type) -> String {
    let shown: String = text.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    let kind = ty
        .definition()
        .map_or_else(|| ty.to_wit(), |text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let range = ty.range().map(|(min, max)| format!(" ({min} to {max})")).unwrap_or_default();
    let example = match ty.example() {
        value @ (Value::Array(_) | Value::Object(_)) => format!(" such as {value}"),
        _ => String::new(),
    };
    format!("expected {kind}{range}{example}, got {shown:?}{more}")
}

/// Enough of a word to recognise it.
const SHOWN: usize = 40;

/// 2^53: beyond it, not every whole number has a floating-point number of its own.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests;
