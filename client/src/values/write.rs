//! serde types → JSON text, by the JSON mapping.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{self, Error as _, Serialize};
use serde_json::{Error, Result};

/// `value` as JSON text.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    value.serialize(Writer { out: &mut out, within_some: false })?;
    Ok(out)
}

/// Writes one value.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The value is what an option holds; an option there is told apart by `{"some": …}`.
    within_some: bool,
}

/// Writes a sequence or map, element by element.
struct Elements<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    end: &'static str,
    /// The one field is JSON text to be taken as it is; see serde_json's `RawValue`.
    raw: bool,
}

impl<'a> Writer<'a> {
    fn text(self, text: &str) -> Result<()> {
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn plain<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        serde_json::to_writer(self.out, value)
    }

    fn elements(self, begin: &str, end: &'static str) -> Result<Elements<'a>> {
        self.out.extend_from_slice(begin.as_bytes());
        Ok(Elements { out: self.out, first: true, end, raw: false })
    }

    /// `{"case":` and what follows.
    fn case(self, case: &str, begin: &str, end: &'static str) -> Result<Elements<'a>> {
        self.out.push(b'{');
        serde_json::to_writer(&mut *self.out, case)?;
        self.out.push(b':');
        self.elements(begin, end)
    }
}

macro_rules! plainly {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<()> { self.plain(&value) })*
    };
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Elements<'a>;
    type SerializeMap = Elements<'a>;
    type SerializeStruct = Elements<'a>;
    type SerializeStructVariant = Elements<'a>;

    plainly! {
        serialize_bool: bool, serialize_char: char, serialize_str: &str,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i128: i128, serialize_u128: u128
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        if value.is_finite() { self.plain(&value) } else { self.serialize_f64(value.into()) }
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        match value {
            _ if value.is_finite() => self.plain(&value),
            _ if value.is_nan() => self.text(r#""NaN""#),
            f64::INFINITY => self.text(r#""Infinity""#),
            _ => self.text(r#""-Infinity""#),
        }
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        self.text(&format!(r#"{{"base64":"{}"}}"#, STANDARD.encode(bytes)))
    }

    fn serialize_none(self) -> Result<()> {
        let text = if self.within_some { r#"{"some":null}"# } else { "null" };
        self.text(text)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        let Writer { out, within_some } = self;
        if within_some {
            out.extend_from_slice(br#"{"some":"#);
        }
        value.serialize(Writer { out, within_some: true })?;
        if within_some {
            out.push(b'}');
        }
        Ok(())
    }

    fn serialize_unit(self) -> Result<()> {
        self.text("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.text("null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, case: &'static str) -> Result<()> {
        self.plain(case)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        case: &'static str,
        value: &T,
    ) -> Result<()> {
        let case = match (name, case) {
            ("Result", "Ok") => "ok",
            ("Result", "Err") => "err",
            _ => case,
        };
        let elements = self.case(case, "", "}")?;
        value.serialize(Writer { out: &mut *elements.out, within_some: false })?;
        elements.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>> {
        self.elements("[", "]")
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements<'a>> {
        self.elements("[", "]")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements<'a>> {
        self.elements("[", "]")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        case: &'static str,
        _: usize,
    ) -> Result<Elements<'a>> {
        self.case(case, "[", "]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Elements<'a>> {
        self.elements("{", "}")
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Elements<'a>> {
        if name == RAW {
            return Ok(Elements { raw: true, ..self.elements("", "")? });
        }
        self.elements("{", "}")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        case: &'static str,
        _: usize,
    ) -> Result<Elements<'a>> {
        self.case(case, "{", "}}")
    }
}

impl Elements<'_> {
    fn close(self) -> Result<()> {
        self.out.extend_from_slice(self.end.as_bytes());
        Ok(())
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(Writer { out: self.out, within_some: false })
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.comma();
        self.value(value)
    }

    /// Keys are strings in JSON: numbers become theirs.
    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.comma();
        let json = to_json(key)?;
        match json.first() {
            Some(b'"') => self.out.extend_from_slice(&json),
            Some(b'0'..=b'9' | b'-') => {
                self.out.push(b'"');
                self.out.extend_from_slice(&json);
                self.out.push(b'"');
            }
            _ => return Err(Error::custom("a key of a map must be a string or a number")),
        }
        self.out.push(b':');
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        if self.raw {
            let text: String = serde_json::from_slice(&to_json(value)?)?;
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        self.key(name)?;
        self.value(value)
    }
}

macro_rules! in_order {
    ($($trait:ident: $method:ident),*) => {
        $(impl ser::$trait for Elements<'_> {
            type Ok = ();
            type Error = Error;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }
            fn end(self) -> Result<()> {
                self.close()
            }
        })*
    };
}

in_order! {
    SerializeSeq: serialize_element, SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field
}

macro_rules! by_name {
    ($($trait:ident),*) => {
        $(impl ser::$trait for Elements<'_> {
            type Ok = ();
            type Error = Error;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.field(name, value)
            }
            fn end(self) -> Result<()> {
                self.close()
            }
        })*
    };
}

by_name!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.value(value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

/// The name by which serde_json's `RawValue` makes itself known to serializers.
const RAW: &str = "$serde_json::private::RawValue";
