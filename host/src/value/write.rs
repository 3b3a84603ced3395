//! Component values to JSON, straight into a buffer of limited size.

use std::fmt::Display;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jackfield_wire::Type;
use serde::Serialize;
use wasmtime::component::Val;

/// Why a result cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Its JSON text passes the limit.
    #[error("the result takes more than {limit} bytes of JSON")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It is not of the type that the function declares; wasmtime does not let that happen.
    #[error("the result does not have the declared type {0}")]
    Type(String),
}

/// A buffer for JSON text that refuses to grow past its limit.
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
    limit: usize,
}

impl Writer {
    pub(super) fn new(limit: usize) -> Self {
        Self { out: Vec::with_capacity(USUAL.min(limit)), limit }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Writes a value of type `ty`.
    pub(super) fn value(&mut self, ty: &Type, value: &Val) -> Result<(), WriteError> {
        match (ty, value) {
            (Type::Bool, Val::Bool(v)) => self.show(v),
            (Type::S8, Val::S8(v)) => self.show(v),
            (Type::U8, Val::U8(v)) => self.show(v),
            (Type::S16, Val::S16(v)) => self.show(v),
            (Type::U16, Val::U16(v)) => self.show(v),
            (Type::S32, Val::S32(v)) => self.show(v),
            (Type::U32, Val::U32(v)) => self.show(v),
            (Type::S64, Val::S64(v)) => self.wide((*v).into()),
            (Type::U64, Val::U64(v)) => self.wide((*v).into()),
            (Type::F32, Val::Float32(v)) => self.float((*v).into(), v),
            (Type::F64, Val::Float64(v)) => self.float(*v, v),
            (Type::Char, Val::Char(v)) => self.text(v.encode_utf8(&mut [0; 4])),
            (Type::String, Val::String(v)) => self.text(v),
            (Type::Enum { .. }, Val::Enum(name)) => self.text(name),
            _ => self.compound(ty, value),
        }
    }

    fn compound(&mut self, ty: &Type, value: &Val) -> Result<(), WriteError> {
        match (ty, value) {
            (Type::List(item), Val::List(values)) if **item == Type::U8 => {
                let bytes = values.iter().map(|value| match value {
                    Val::U8(byte) => Ok(*byte),
                    _ => Err(WriteError::Type(ty.to_wit())),
                });
                self.bytes(&bytes.collect::<Result<Vec<_>, _>>()?)
            }
            (Type::List(item), Val::List(values)) => {
                self.array(values, |this, value| this.value(item, value))
            }
            (Type::Tuple(types), Val::Tuple(values)) if types.len() == values.len() => {
                self.array(types.iter().zip(values), |this, (ty, value)| this.value(ty, value))
            }
            (Type::Option(item), Val::Option(value)) => self.option(item, value.as_deref()),
            (Type::Result { ok, .. }, Val::Result(Ok(value))) => {
                self.keyed("ok", |this| this.payload(ok.as_deref(), value.as_deref()))
            }
            (Type::Result { err, .. }, Val::Result(Err(value))) => {
                self.keyed("err", |this| this.payload(err.as_deref(), value.as_deref()))
            }
            (Type::Record { fields, .. }, Val::Record(values)) if fields.len() == values.len() => {
                self.entries(fields.iter().zip(values), |this, (field, (_, value))| {
                    this.key(&field.name)?;
                    this.value(&field.ty, value)
                })
            }
            (Type::Variant { cases, .. }, Val::Variant(name, value)) => {
                let case = cases.iter().find(|case| case.name == *name);
                match (case.and_then(|case| case.ty.as_ref()), value) {
                    (Some(ty), Some(value)) => self.keyed(name, |this| this.value(ty, value)),
                    _ => self.text(name),
                }
            }
            (Type::Flags { .. }, Val::Flags(names)) => {
                self.array(names, |this, name| this.text(name))
            }
            _ => Err(WriteError::Type(ty.to_wit())),
        }
    }

    fn option(&mut self, item: &Type, value: Option<&Val>) -> Result<(), WriteError> {
        match value {
            None => self.null(),
            Some(value) if item.is_option() => self.keyed("some", |this| this.value(item, value)),
            Some(value) => self.value(item, value),
        }
    }

    /// What one side of a result carries: `null` when it carries nothing.
    pub(super) fn payload(
        &mut self,
        ty: Option<&Type>,
        value: Option<&Val>,
    ) -> Result<(), WriteError> {
        match (ty, value) {
            (Some(ty), Some(value)) => self.value(ty, value),
            _ => self.null(),
        }
    }

    pub(super) fn null(&mut self) -> Result<(), WriteError> {
        self.raw(b"null")
    }

    /// A number or a boolean, as Rust shows it.
    pub(super) fn show(&mut self, value: impl Display) -> Result<(), WriteError> {
        write!(self.out, "{value}").expect("writing into a Vec cannot fail");
        self.check()
    }

    /// A 64-bit integer: a string where a double cannot be trusted to hold it.
    pub(super) fn wide(&mut self, value: i128) -> Result<(), WriteError> {
        if value.unsigned_abs() <= MAX_SAFE_INTEGER {
            self.show(value)
        } else {
            self.show(format_args!("\"{value}\""))
        }
    }

    /// A floating-point number, in the shortest text that reads back as the same.
    pub(super) fn float(&mut self, value: f64, shown: &impl Serialize) -> Result<(), WriteError> {
        if value.is_nan() {
            self.raw(b"\"NaN\"")
        } else if value == f64::INFINITY {
            self.raw(b"\"Infinity\"")
        } else if value == f64::NEG_INFINITY {
            self.raw(b"\"-Infinity\"")
        } else {
            self.serialize(shown)
        }
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), WriteError> {
        self.room(text.len())?;
        self.serialize(text)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.room(bytes.len())?;
        self.keyed("base64", |this| {
            let length = base64::encoded_len(bytes.len(), true).unwrap_or(usize::MAX);
            this.room(length)?;
            this.out.push(b'"');
            let start = this.out.len();
            this.out.resize(start + length, 0);
            STANDARD
                .encode_slice(bytes, &mut this.out[start..])
                .expect("the room for it was just made");
            this.raw(b"\"")
        })
    }

    /// An object with one key.
    pub(super) fn keyed(
        &mut self,
        key: &str,
        write: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.out.push(b'{');
        self.key(key)?;
        write(self)?;
        self.raw(b"}")
    }

    fn key(&mut self, key: &str) -> Result<(), WriteError> {
        self.text(key)?;
        self.raw(b":")
    }

    fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Self, T) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.out.push(b'[');
        self.separated(items, write)?;
        self.raw(b"]")
    }

    fn entries<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Self, T) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.out.push(b'{');
        self.separated(items, write)?;
        self.raw(b"}")
    }

    fn separated<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            write(self, item)?;
        }
        Ok(())
    }

    fn serialize(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), WriteError> {
        serde_json::to_writer(&mut self.out, value).expect("writing into a Vec cannot fail");
        self.check()
    }

    fn raw(&mut self, text: &[u8]) -> Result<(), WriteError> {
        self.out.extend_from_slice(text);
        self.check()
    }

    fn check(&self) -> Result<(), WriteError> {
        self.room(0)
    }

    /// Makes sure that `more` bytes fit before they are written.
    fn room(&self, more: usize) -> Result<(), WriteError> {
        match self.out.len().checked_add(more) {
            Some(length) if length <= self.limit => Ok(()),
            _ => Err(WriteError::TooLarge { limit: self.limit }),
        }
    }
}

/// Bytes that hold a short result.
const USUAL: usize = 128;

/// 2^53 − 1: JavaScript's `Number.MAX_SAFE_INTEGER`, beyond which readers that hold numbers as
/// doubles would silently change an integer.
const MAX_SAFE_INTEGER: u128 = (1 << 53) - 1;
