//! Positional and named arguments put together, as Python does it: positional ones first.

use std::fmt;

use jackfield_wire::Type;
use jackfield_wire::ty::{Field, Signature};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use wasmtime::component::Val;

use super::path::{Context, Shown, Step};
use super::read::{BytesSeed, Names, ValueSeed};

/// Arguments that do not fit the method. Nothing was executed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ArgumentError(String);

/// One checked argument.
#[derive(Debug)]
pub(super) enum Argument {
    /// The bytes of a `list<u8>`, for a typed shape.
    Bytes(Vec<u8>),
    /// Anything else.
    Val(Val),
}

/// How the arguments of a method are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArgumentReader<'t> {
    pub(super) name: &'t str,
    pub(super) signature: &'t Signature,
    /// Parameters of type `list<u8>` become [`Argument::Bytes`].
    pub(super) plain_bytes: bool,
}

impl<'t> ArgumentReader<'t> {
    /// Reads a JSON array, a JSON object, or both, into one argument per parameter.
    pub(super) fn read(
        self,
        positional: Option<&[u8]>,
        named: Option<&[u8]>,
    ) -> Result<Vec<Argument>, ArgumentError> {
        let context = Context::default();
        let none = || None;
        let mut slots = Slots {
            reader: self,
            context: &context,
            values: std::iter::repeat_with(none).take(self.signature.params.len()).collect(),
            by_position: 0,
        };
        let explain = |error| ArgumentError(context.explain(&error));
        if let Some(text) = positional {
            parse(text, Positional(&mut slots)).map_err(explain)?;
        }
        if let Some(text) = named {
            parse(text, Named(&mut slots)).map_err(explain)?;
        }
        slots.finish()
    }

    /// The signature, to end a message about the set of arguments with.
    fn wit(self) -> String {
        self.signature.to_wit(self.name)
    }
}

fn parse<'a, S: DeserializeSeed<'a>>(text: &'a [u8], seed: S) -> serde_json::Result<S::Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// The arguments found so far.
struct Slots<'c, 't> {
    reader: ArgumentReader<'t>,
    context: &'c Context<'t>,
    values: Vec<Option<Argument>>,
    by_position: usize,
}

impl<'c, 't> Slots<'c, 't> {
    fn params(&self) -> &'t [Field] {
        &self.reader.signature.params
    }

    fn seed(&self, ty: &'t Type) -> ArgumentSeed<'c, 't> {
        ArgumentSeed { ty, context: self.context, plain_bytes: self.reader.plain_bytes }
    }

    fn finish(self) -> Result<Vec<Argument>, ArgumentError> {
        let reader = self.reader;
        let pairs = self.params().iter().zip(self.values);
        let values = pairs.map(|(param, value)| match value {
            Some(value) => Ok(value),
            None if param.ty.is_option() => Ok(Argument::Val(Val::Option(None))),
            None => Err(ArgumentError(format!("argument {param} is missing in {}", reader.wit()))),
        });
        values.collect()
    }

    /// An error about the set of arguments rather than one place in it.
    fn refuse<E: de::Error>(&self, what: impl fmt::Display) -> E {
        self.context.refuse_whole(format!("{what}: {}", self.reader.wit()))
    }
}

/// Reads one argument.
struct ArgumentSeed<'c, 't> {
    ty: &'t Type,
    context: &'c Context<'t>,
    plain_bytes: bool,
}

impl<'de> DeserializeSeed<'de> for ArgumentSeed<'_, '_> {
    type Value = Argument;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Argument, D::Error> {
        match self.ty {
            Type::List(item) if self.plain_bytes && **item == Type::U8 => {
                let seed = BytesSeed::new(self.ty, self.context);
                seed.deserialize(deserializer).map(Argument::Bytes)
            }
            ty => ValueSeed::new(ty, self.context).deserialize(deserializer).map(Argument::Val),
        }
    }
}

/// Reads the array of positional arguments.
struct Positional<'s, 'c, 't>(&'s mut Slots<'c, 't>);

impl<'de> DeserializeSeed<'de> for Positional<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Positional<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array of positional arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let slots = self.0;
        for (index, Field { name, ty }) in slots.params().iter().enumerate() {
            let seed = slots.seed(ty);
            let read = || items.next_element_seed(seed);
            let Some(value) = slots.context.within(Step::Key(name), read)? else {
                return Ok(());
            };
            slots.values[index] = Some(value);
            slots.by_position = index + 1;
        }
        let mut given = slots.by_position;
        while items.next_element::<IgnoredAny>()?.is_some() {
            given += 1;
        }
        let takes = slots.params().len();
        if given > takes {
            let plural = if takes == 1 { "" } else { "s" };
            let what =
                format_args!("too many arguments: takes {takes} argument{plural}, got {given}");
            return Err(slots.refuse(what));
        }
        Ok(())
    }
}

/// Reads the object of named arguments.
struct Named<'s, 'c, 't>(&'s mut Slots<'c, 't>);

impl<'de> DeserializeSeed<'de> for Named<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Named<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of named arguments")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let slots = self.0;
        while let Some(key) = entries.next_key::<String>()? {
            let names = Names::Fields(slots.params());
            let Some((index, _)) = names.find(&key) else {
                let what = format_args!("no parameter {}{}", Shown(&key), names.hint(&key));
                return Err(slots.refuse(what));
            };
            let Field { name, ty } = &slots.params()[index];
            if index < slots.by_position {
                let what = format_args!("argument {name} is given twice, by position and by name");
                return Err(slots.refuse(what));
            }
            if slots.values[index].is_some() {
                return Err(slots.refuse(format_args!("argument {name} is given twice")));
            }
            let seed = slots.seed(ty);
            let value = slots.context.within(Step::Key(name), || entries.next_value_seed(seed))?;
            slots.values[index] = Some(value);
        }
        Ok(())
    }
}
