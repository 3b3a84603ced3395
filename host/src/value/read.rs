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
mod name;
mod number;

use std::fmt;

use jackfield_wire::Type;
use jackfield_wire::ty::{Case, Field};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use wasmtime::component::Val;

pub(super) use bytes::BytesSeed;
pub(super) use name::{NameSeed, Names};

use super::path::{Context, Shown, Step};

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

    fn list<'de, A: SeqAccess<'de>>(self, item: &'t Type, mut items: A) -> Result<Val, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = self
            .context
            .within(Step::Index(values.len()), || items.next_element_seed(self.of(item)))?
        {
            values.push(value);
        }
        Ok(Val::List(values))
    }

    fn tuple<'de, A: SeqAccess<'de>>(
        self,
        types: &'t [Type],
        mut items: A,
    ) -> Result<Val, A::Error> {
        let mut values = Vec::with_capacity(types.len());
        for (index, ty) in types.iter().enumerate() {
            let step = Step::Index(index);
            match self.context.within(step, || items.next_element_seed(self.of(ty)))? {
                Some(value) => values.push(value),
                None => return Err(self.mismatch(format_args!("an array of {index}"))),
            }
        }
        if items.next_element::<de::IgnoredAny>()?.is_some() {
            return Err(self.mismatch(format_args!("an array of more than {}", types.len())));
        }
        Ok(Val::Tuple(values))
    }

    fn flags<'de, A: SeqAccess<'de>>(
        self,
        flags: &'t [String],
        mut items: A,
    ) -> Result<Val, A::Error> {
        let seed = NameSeed::new(Names::Plain(flags), self.shown, "flag", self.context);
        let mut set = vec![false; flags.len()];
        let mut position = 0;
        loop {
            let flag = self.context.within(Step::Index(position), || {
                let flag = items.next_element_seed(seed)?;
                match flag {
                    Some(index) if std::mem::replace(&mut set[index], true) => {
                        let name = &flags[index];
                        Err(self.context.refuse(format_args!("flag {name} is given twice")))
                    }
                    flag => Ok(flag),
                }
            })?;
            if flag.is_none() {
                break;
            }
            position += 1;
        }
        let set = flags.iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name.clone());
        Ok(Val::Flags(set.collect()))
    }

    fn record<'de, A: MapAccess<'de>>(
        self,
        fields: &'t [Field],
        mut entries: A,
    ) -> Result<Val, A::Error> {
        let mut values = vec![None; fields.len()];
        let seed = NameSeed::new(Names::Fields(fields), self.shown, "field", self.context);
        while let Some(index) = entries.next_key_seed(seed)? {
            let Field { name, ty } = &fields[index];
            self.context.within(Step::Key(name), || {
                if values[index].is_some() {
                    return Err(self.context.refuse("the field is given twice"));
                }
                values[index] = Some(entries.next_value_seed(self.of(ty))?);
                Ok(())
            })?;
        }
        let pairs = fields.iter().zip(values).map(|(field, value)| match value {
            Some(value) => Ok((field.name.clone(), value)),
            None if field.ty.is_option() => Ok((field.name.clone(), Val::Option(None))),
            None => Err(self.context.refuse(format_args!("{} lacks field {}", self.shown, field))),
        });
        Ok(Val::Record(pairs.collect::<Result<_, _>>()?))
    }

    fn variant<'de, A: MapAccess<'de>>(
        self,
        cases: &'t [Case],
        mut entries: A,
    ) -> Result<Val, A::Error> {
        let index = self.only_key(Names::Cases(cases), "case", &mut entries)?;
        let Case { name, ty } = &cases[index];
        let Some(ty) = ty else {
            return Err(self.context.refuse(format_args!(
                "case {name} carries nothing: write \"{name}\" instead of an object"
            )));
        };
        let payload = self.payload(name, Some(ty), &mut entries)?;
        Ok(Val::Variant(name.clone(), payload))
    }

    fn result<'de, A: MapAccess<'de>>(self, mut entries: A) -> Result<Val, A::Error> {
        let Type::Result { ok, err } = self.ty else {
            return Err(self.mismatch("an object"));
        };
        let index = self.only_key(Names::Fixed(&["ok", "err"]), "case", &mut entries)?;
        let (name, ty) = [("ok", ok), ("err", err)][index];
        let payload = self.payload(name, ty.as_deref(), &mut entries)?;
        Ok(Val::Result(if index == 0 { Ok(payload) } else { Err(payload) }))
    }

    fn some<'de, A: MapAccess<'de>>(self, item: &'t Type, mut entries: A) -> Result<Val, A::Error> {
        self.only_key(Names::Fixed(&["some"]), "key", &mut entries)?;
        Ok(Val::Option(self.payload("some", Some(item), &mut entries)?))
    }

    /// The first key of an object that has to have exactly one.
    fn only_key<'de, A: MapAccess<'de>>(
        self,
        names: Names<'t>,
        what: &'static str,
        entries: &mut A,
    ) -> Result<usize, A::Error> {
        let seed = NameSeed::new(names, self.shown, what, self.context);
        let key = entries.next_key_seed(seed)?;
        key.ok_or_else(|| self.mismatch("an empty object"))
    }

    /// The value of an object that has to have exactly one.
    fn payload<'de, A: MapAccess<'de>>(
        self,
        name: &'t str,
        ty: Option<&'t Type>,
        entries: &mut A,
    ) -> Result<Option<Box<Val>>, A::Error> {
        let value = self.context.within(Step::Key(name), || match ty {
            Some(ty) => entries.next_value_seed(self.of(ty)).map(|value| Some(Box::new(value))),
            None => entries.next_value_seed(Nothing(self.context)).map(|()| None),
        })?;
        match entries.next_key::<de::IgnoredAny>()? {
            Some(_) => Err(self.mismatch("an object with more than one key")),
            None => Ok(value),
        }
    }
}

/// Reads the `null` that stands for the payload of a side of a result that carries nothing.
struct Nothing<'c, 't>(&'c Context<'t>);

impl<'de> DeserializeSeed<'de> for Nothing<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let context = self.0;
        let value: Option<de::IgnoredAny> = de::Deserialize::deserialize(deserializer)?;
        value.map_or(Ok(()), |_| Err(context.refuse("expected null: this side carries nothing")))
    }
}

fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}
