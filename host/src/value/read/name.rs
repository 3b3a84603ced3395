//! Names out of JSON: fields, cases, flags, parameters.

use std::fmt;

use jackfield_wire::Type;
use jackfield_wire::ty::{Case, Field, nearest};
use serde::de::{self, DeserializeSeed, Deserializer, Visitor};

use crate::value::path::{Context, Shown};

/// The names that are known at some place.
#[derive(Clone, Copy)]
pub(in crate::value) enum Names<'t> {
    Fields(&'t [Field]),
    Cases(&'t [Case]),
    Plain(&'t [String]),
    Fixed(&'static [&'static str]),
}

impl<'t> Names<'t> {
    /// The position of a name, and the name.
    pub(in crate::value) fn find(self, name: &str) -> Option<(usize, &'t str)> {
        self.iter().enumerate().find(|(_, known)| *known == name)
    }

    /// What to say of a name that is not there.
    pub(in crate::value) fn unknown(self, ty: &Type, what: &str, name: &str) -> String {
        let kind = match ty {
            Type::Option(item) => item,
            ty => ty,
        };
        let owner = kind.name().map_or_else(String::new, |name| format!("{name} has "));
        format!("{owner}no {what} {}{}", Shown(name), self.hint(name))
    }

    /// What there is instead of a name: the nearest, or all if they are few.
    pub(in crate::value) fn hint(self, name: &str) -> String {
        if let Some(nearest) = nearest(name, self.iter()) {
            return format!("; did you mean \"{nearest}\"?");
        }
        let known: Vec<_> = self.iter().take(LISTED + 1).collect();
        match known.len() {
            0 => String::new(),
            1..=LISTED => format!("; there is {}", known.join(", ")),
            _ => format!("; there is {}, …", known[..LISTED].join(", ")),
        }
    }

    fn iter(self) -> Box<dyn Iterator<Item = &'t str> + 't> {
        match self {
            Self::Fields(fields) => Box::new(fields.iter().map(|field| field.name.as_str())),
            Self::Cases(cases) => Box::new(cases.iter().map(|case| case.name.as_str())),
            Self::Plain(names) => Box::new(names.iter().map(String::as_str)),
            Self::Fixed(names) => Box::new(names.iter().copied()),
        }
    }
}

/// Reads a string that has to be one of some names, and gives its position.
#[derive(Clone, Copy)]
pub(in crate::value) struct NameSeed<'c, 't> {
    names: Names<'t>,
    ty: &'t Type,
    what: &'static str,
    context: &'c Context<'t>,
}

impl<'c, 't> NameSeed<'c, 't> {
    pub(in crate::value) fn new(
        names: Names<'t>,
        ty: &'t Type,
        what: &'static str,
        context: &'c Context<'t>,
    ) -> Self {
        Self { names, ty, what, context }
    }

    fn mismatch<E: de::Error>(&self, got: impl fmt::Display) -> E {
        self.context.refuse(format_args!("expected the name of a {}, got {got}", self.what))
    }
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NameSeed<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a {}", self.what)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<usize, E> {
        match self.names.find(name) {
            Some((index, _)) => Ok(index),
            None => Err(self.context.refuse(self.names.unknown(self.ty, self.what, name))),
        }
    }

    refuse_plain_values!(usize);

    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<usize, A::Error> {
        Err(self.mismatch("an array"))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<usize, A::Error> {
        Err(self.mismatch("an object"))
    }
}

/// As many names as fit in a line.
const LISTED: usize = 8;
