//! JSON to one component value, checked by its type while it is read.
//!
//! The type drives the parser: a wrong value stops it at once, whatever follows, and its depth is
//! the type's. Of each value only what its type allows is ever kept.

/// Visitor methods that refuse every value but strings, arrays and objects.
macro_rules! refuse_plain_values {
    ($value:ty) => {
        fn visit_bool<E: de::Error>(self, value: bool) -> Result<$value, E> {
            Err(self.mismatch(value))
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<$value, E> {
            Err(self.mismatch(value))
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<$value, E> {
            Err(self.mismatch(value))
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<$value, E> {
            Err(self.mismatch(format_args!("{value:?}")))
        }

        fn visit_unit<E: de::Error>(self) -> Result<$value, E> {
            Err(self.mismatch("null"))
        }
    };
}

mod bytes;
mod compound;
mod name;
mod number;

use std::fmt;

use jackfield_wire::Type;
use jackfield_wire::ty::Case;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use wasmtime::component::Val;

pub(super) use bytes::BytesSeed;
pub(super) use name::{NameSeed, Names};

use super::path::{Context, Shown};

/// Reads one value of a type.
#[derive(Clone, Copy)]
pub(super) struct ValueSeed<'c, 't> {
    ty: &'t Type,
    /// The type to name in errors: the option, when `ty` is what it holds.
    shown: &'t Type,
    context: &'c Context<'t>,
}

impl<'c, 't> ValueSeed<'c, 't> {
    pub(super) fn new(ty: &'t Type, context: &'c Context<'t>) -> Self {
        Self { ty, shown: ty, context }
    }

    fn of(self, ty: &'t Type) -> Self {
        Self::new(ty, self.context)
    }

    /// Passes on what an option that is not empty holds, unless it is marked by `some`.
    fn plain<E>(self, read: impl FnOnce(Self) -> Result<Val, E>) -> Result<Val, E> {
        match self.ty {
            Type::Option(item) if !item.is_option() => {
                let inner = Self { ty: item, ..self };
                Ok(Val::Option(Some(Box::new(read(inner)?))))
            }
            _ => read(self),
        }
    }

    fn mismatch<E: de::Error>(&self, got: impl fmt::Display) -> E {
        self.context.mismatch(self.shown, got)
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_> {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        self.context.count(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, '_> {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.shown, f)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Val, E> {
        self.plain(|this| match this.ty {
            Type::Bool => Ok(Val::Bool(value)),
            _ => Err(this.mismatch(value)),
        })
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Val, E> {
        self.plain(|this| {
            number::of_integer(this.ty, value.into()).ok_or_else(|| this.mismatch(value))
        })
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Val, E> {
        self.plain(|this| {
            number::of_integer(this.ty, value.into()).ok_or_else(|| this.mismatch(value))
        })
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Val, E> {
        self.plain(|this| {
            number::of_float(this.ty, value).ok_or_else(|| this.mismatch(format_args!("{value:?}")))
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Val, E> {
        self.plain(|this| this.text(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Val, E> {
        self.plain(|this| match this.ty {
            Type::String => Ok(Val::String(text)),
            _ => this.text(&text),
        })
    }

    fn visit_unit<E: de::Error>(self) -> Result<Val, E> {
        match self.ty {
            Type::Option(_) => Ok(Val::Option(None)),
            _ => Err(self.mismatch("null")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Val, A::Error> {
        self.plain(|this| match this.ty {
            Type::List(item) if **item == Type::U8 => this.list_of(this.bytes().visit_seq(items)?),
            Type::List(item) => this.list(item, items),
            Type::Tuple(types) => this.tuple(types, items),
            Type::Flags { flags, .. } => this.flags(flags, items),
            _ => Err(this.mismatch("an array")),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Val, A::Error> {
        self.plain(|this| match this.ty {
            Type::List(item) if **item == Type::U8 => {
                this.list_of(this.bytes().visit_map(entries)?)
            }
            Type::Record { fields, .. } => this.record(fields, entries),
            Type::Variant { cases, .. } => this.variant(cases, entries),
            Type::Result { .. } => this.result(entries),
            Type::Option(item) => this.some(item, entries),
            _ => Err(this.mismatch("an object")),
        })
    }
}

impl<'c, 't> ValueSeed<'c, 't> {
    fn bytes(self) -> BytesSeed<'c, 't> {
        BytesSeed::new(self.shown, self.context)
    }

    /// One value per byte, for functions that no typed shape covers.
    fn list_of<E: de::Error>(self, bytes: Vec<u8>) -> Result<Val, E> {
        self.context.count(bytes.len())?;
        Ok(Val::List(bytes.into_iter().map(Val::U8).collect()))
    }

    fn text<E: de::Error>(self, text: &str) -> Result<Val, E> {
        let value = match self.ty {
            Type::String => Some(Val::String(text.to_owned())),
            Type::Char => single(text).map(Val::Char),
            Type::S64 | Type::U64 | Type::F32 | Type::F64 => number::of_text(self.ty, text),
            Type::Enum { cases, .. } => return self.enumeration(cases, text),
            Type::Variant { cases, .. } => return self.bare_case(cases, text),
            Type::List(item) if **item == Type::U8 => {
                return self.bytes().visit_str(text).and_then(|bytes| self.list_of(bytes));
            }
            _ => None,
        };
        value.ok_or_else(|| self.mismatch(format_args!("string {}", Shown(text))))
    }

    fn enumeration<E: de::Error>(self, cases: &'t [String], text: &str) -> Result<Val, E> {
        match Names::Plain(cases).find(text) {
            Some((_, name)) => Ok(Val::Enum(name.to_owned())),
            None => Err(self.context.refuse(Names::Plain(cases).unknown(self.shown, "case", text))),
        }
    }

    fn bare_case<E: de::Error>(self, cases: &'t [Case], text: &str) -> Result<Val, E> {
        let names = Names::Cases(cases);
        match names.find(text).map(|(index, name)| (name, &cases[index].ty)) {
            Some((name, None)) => Ok(Val::Variant(name.to_owned(), None)),
            Some((name, Some(ty))) => Err(self.context.refuse(format_args!(
                "case {name} carries {ty}: write {{\"{name}\": …}} instead of \"{name}\""
            ))),
            None => Err(self.context.refuse(names.unknown(self.shown, "case", text))),
        }
    }
}

fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}
