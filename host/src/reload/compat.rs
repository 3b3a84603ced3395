//! Whether a new version of a plugin lets callers of the old one go on. Pure.
//!
//! Callers name a method and send JSON. So a method stays what it was when every JSON text that it
//! took means the same to the new one, and every text that the new one gives is one that the old
//! one could have given:
//!
//! - parameters keep their names and places; new ones come last and may be left out (`option`);
//! - what is taken may become wider: larger numbers, `option`, more cases, more `option` fields;
//! - what is given may become narrower: smaller numbers, no `option`, fewer cases; records may
//!   have more fields, for readers pass over what they do not know.
//!
//! Methods may be added. The name of a type is no part of it. A name with an interface's version
//! belongs to that version; only names that people are told (`MethodInfo::name`) are held.

use jackfield_wire::reflect::MethodInfo;
use jackfield_wire::ty::{Case, Field, Signature, Type};
use semver::Version;

/// A method that callers of the old version miss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    name: String,
    was: String,
    /// `None` when it is gone.
    is: Option<String>,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, was, is } = self;
        match is {
            None => write!(f, "`{name}` is gone (it was `{was}`)"),
            Some(is) => write!(f, "`{name}` was `{was}` and is `{is}`"),
        }
    }
}

/// Methods of `old` that `new`, which finds methods by name, does not go on with.
pub(super) fn broken<'a>(
    old: impl Iterator<Item = &'a MethodInfo>,
    new: impl Fn(&str) -> Option<&'a MethodInfo>,
) -> Vec<Broken> {
    old.filter(|method| !method.hidden)
        .filter_map(|method| {
            let now = new(&method.name);
            let goes_on = now.is_some_and(|now| goes_on(&method.signature, &now.signature));
            let is = now.map(|now| now.wit.clone());
            (!goes_on).then(|| Broken { name: method.name.clone(), was: method.wit.clone(), is })
        })
        .collect()
}

/// All of them in one line.
pub(super) fn list(broken: &[Broken]) -> String {
    let shown = broken.iter().take(MAX_SHOWN).map(Broken::to_string).collect::<Vec<_>>().join("; ");
    match broken.len().saturating_sub(MAX_SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// Whether `new` says of itself that it breaks with `old`, as semantic versions do.
pub(super) fn is_announced(old: Option<&str>, new: Option<&str>) -> bool {
    let read = |text: Option<&str>| Version::parse(text?).ok();
    match (read(old), read(new)) {
        (Some(old), Some(new)) => track(&new) > track(&old),
        _ => false,
    }
}

/// What to do about the version.
pub(super) fn advice(old: Option<&str>) -> String {
    match old.and_then(|old| Version::parse(old).ok()) {
        None => "keep these methods as they were".into(),
        Some(old) => {
            let next = match old.major {
                0 => Version::new(0, old.minor + 1, 0),
                major => Version::new(major + 1, 0, 0),
            };
            format!("raise its version from {old} to {next}")
        }
    }
}

/// What has to rise when something breaks: of 1.2.3 the 1, of 0.2.3 the 2.
fn track(version: &Version) -> (u64, u64) {
    (version.major, if version.major == 0 { version.minor } else { 0 })
}

/// Whether callers of a method with the `old` signature can go on with the `new` one, as the
/// rules of this module have it.
pub fn goes_on(old: &Signature, new: &Signature) -> bool {
    let kept = old.params.len() <= new.params.len()
        && old
            .params
            .iter()
            .zip(&new.params)
            .all(|(old, new)| old.name == new.name && fits(&old.ty, &new.ty, Way::In))
        && new.params.iter().skip(old.params.len()).all(|param| param.ty.is_option());
    kept && match (&old.result, &new.result) {
        (None, None) => true,
        (Some(old), Some(new)) => fits(new, old, Way::Out),
        _ => false,
    }
}

/// Which way values go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From the caller: `from` is the old type, `to` the new one.
    In,
    /// To the caller: `from` is the new type, `to` the old one.
    Out,
}

/// Whether every JSON text of `from` means the same as one of `to`.
fn fits(from: &Type, to: &Type, way: Way) -> bool {
    let inner = |from: &Type, to: &Type| fits(from, to, way);
    match (from, to) {
        (Type::Option(from), Type::Option(to)) => inner(from, to) && nests_alike(from, to),
        (from, Type::Option(to)) => !to.is_option() && inner(from, to),
        // Bytes are base64, other lists are arrays.
        (Type::List(from), Type::List(to)) => inner(from, to) && is_bytes(from) == is_bytes(to),
        (Type::Tuple(from), Type::Tuple(to)) => {
            from.len() == to.len() && from.iter().zip(to).all(|(from, to)| inner(from, to))
        }
        (Type::Result { ok, err }, Type::Result { ok: to_ok, err: to_err }) => {
            payload(ok.as_deref(), to_ok.as_deref(), way)
                && payload(err.as_deref(), to_err.as_deref(), way)
        }
        (Type::Record { fields: from, .. }, Type::Record { fields: to, .. }) => {
            record(from, to, way)
        }
        (Type::Variant { cases: from, .. }, Type::Variant { cases: to, .. }) => {
            from.iter().all(|case| variant_has(to, case, way))
        }
        (Type::Enum { cases: from, .. }, Type::Enum { cases: to, .. }) => {
            from.iter().all(|case| to.contains(case))
        }
        (Type::Flags { flags: from, .. }, Type::Flags { flags: to, .. }) => {
            from.iter().all(|flag| to.contains(flag))
        }
        (from, to) => from == to || is_wider(from, to),
    }
}

/// `null` and `{"some": …}` are for options in options alone.
fn nests_alike(from: &Type, to: &Type) -> bool {
    from.is_option() == to.is_option()
}

fn is_bytes(element: &Type) -> bool {
    *element == Type::U8
}

fn payload(from: Option<&Type>, to: Option<&Type>, way: Way) -> bool {
    match (from, to) {
        (None, None) => true,
        (Some(from), Some(to)) => fits(from, to, way),
        _ => false,
    }
}

fn variant_has(cases: &[Case], case: &Case, way: Way) -> bool {
    let found = cases.iter().find(|to| to.name == case.name);
    found.is_some_and(|to| payload(case.ty.as_ref(), to.ty.as_ref(), way))
}

/// A reader needs its own fields; a host refuses fields that it does not know.
fn record(from: &[Field], to: &[Field], way: Way) -> bool {
    let find = |fields: &[Field], name: &str| fields.iter().position(|field| field.name == name);
    let known = from.iter().all(|field| match find(to, &field.name) {
        Some(at) => fits(&field.ty, &to[at].ty, way),
        None => way == Way::Out,
    });
    let complete = to
        .iter()
        .all(|field| find(from, &field.name).is_some() || way == Way::In && field.ty.is_option());
    known && complete
}

/// Whether every number of `from` is one of `to`, and every `char` a string.
fn is_wider(from: &Type, to: &Type) -> bool {
    if let (Some((from_signed, from)), Some((to_signed, to))) = (integer(from), integer(to)) {
        return match (from_signed, to_signed) {
            (true, false) => false,
            (false, true) => from < to,
            _ => from <= to,
        };
    }
    match (from, to) {
        (Type::F32, Type::F64) | (Type::Char, Type::String) => true,
        // Whole numbers that a float holds exactly.
        (from, Type::F64) => integer(from).is_some_and(|(_, bits)| bits <= 32),
        (from, Type::F32) => integer(from).is_some_and(|(_, bits)| bits <= 16),
        _ => false,
    }
}

/// Signed or not, and its bits.
fn integer(ty: &Type) -> Option<(bool, u8)> {
    Some(match ty {
        Type::S8 => (true, 8),
        Type::S16 => (true, 16),
        Type::S32 => (true, 32),
        Type::S64 => (true, 64),
        Type::U8 => (false, 8),
        Type::U16 => (false, 16),
        Type::U32 => (false, 32),
        Type::U64 => (false, 64),
        _ => return None,
    })
}

/// Methods named in one message; it has to stay readable, and to fit the registry's metadata.
const MAX_SHOWN: usize = 20;

#[cfg(test)]
mod tests;
