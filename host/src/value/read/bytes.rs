//! `list<u8>` out of JSON: `{"base64": "…"}` or an array of numbers, into plain bytes.

use std::fmt;

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _};
use jackfield_wire::Type;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use wasmtime::component::Val;

use super::ValueSeed;
use super::name::{NameSeed, Names};
use crate::value::path::{Context, Shown, Step};

/// Reads the bytes of a `list<u8>`.
#[derive(Clone, Copy)]
pub(in crate::value) struct BytesSeed<'c, 't> {
    ty: &'t Type,
    context: &'c Context<'t>,
}

impl<'c, 't> BytesSeed<'c, 't> {
    /// Errors say that `ty` was expected.
    pub(in crate::value) fn new(ty: &'t Type, context: &'c Context<'t>) -> Self {
        Self { ty, context }
    }

    fn mismatch<E: de::Error>(&self, got: impl fmt::Display) -> E {
        self.context.mismatch(self.ty, got)
    }
}

impl<'de> DeserializeSeed<'de> for BytesSeed<'_, '_> {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BytesSeed<'_, '_> {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.ty, f)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = self
            .context
            .within(Step::Index(bytes.len()), || items.next_element_seed(ByteSeed(self.context)))?
        {
            bytes.push(byte);
        }
        Ok(bytes)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Vec<u8>, A::Error> {
        let key = NameSeed::new(Names::Fixed(&["base64"]), self.ty, "key", self.context);
        if entries.next_key_seed(key)?.is_none() {
            return Err(self.mismatch("an empty object"));
        }
        let bytes = self
            .context
            .within(Step::Key("base64"), || entries.next_value_seed(Base64Seed(self.context)))?;
        match entries.next_key::<de::IgnoredAny>()? {
            Some(_) => Err(self.mismatch("an object with more than one key")),
            None => Ok(bytes),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        let hint = "write {\"base64\": \"…\"} or an array of numbers";
        Err(self.mismatch(format_args!("string {}: {hint}", Shown(text))))
    }

    refuse_plain_values!(Vec<u8>);
}

/// Reads one byte of an array.
struct ByteSeed<'c, 't>(&'c Context<'t>);

impl<'de> DeserializeSeed<'de> for ByteSeed<'_, '_> {
    type Value = u8;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u8, D::Error> {
        match deserializer.deserialize_any(ValueSeed::new(&Type::U8, self.0))? {
            Val::U8(byte) => Ok(byte),
            _ => Err(self.0.refuse("expected u8")),
        }
    }
}

/// Reads the text under the key `base64`.
struct Base64Seed<'c, 't>(&'c Context<'t>);

impl<'de> DeserializeSeed<'de> for Base64Seed<'_, '_> {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        match deserializer.deserialize_any(ValueSeed::new(&Type::String, self.0))? {
            Val::String(text) => BASE64.decode(&text).map_err(|e| {
                let shown = Shown(&text);
                self.0.refuse(format_args!("expected base64 text, got {shown}: {}", reason(&e)))
            }),
            _ => Err(self.0.refuse("expected base64 text")),
        }
    }
}

fn reason(error: &DecodeError) -> String {
    match error {
        DecodeError::InvalidByte(offset, _) => format!("character {offset} is not base64"),
        DecodeError::InvalidLength(_) => "it is cut short".to_owned(),
        DecodeError::InvalidLastSymbol { .. } => "its last character has stray bits".to_owned(),
        DecodeError::InvalidPadding => "its padding is wrong".to_owned(),
    }
}

/// The standard alphabet; padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
