//! Component types as data: what a method takes and gives, for people and for programs.
//!
//! A host reads them from a component; WIT text and JSON Schema are made from them here, so that
//! every part says the same. Types that cannot travel (resources, streams, futures, error
//! contexts) have no variant: a function that uses one is refused with its reason.

mod example;
mod nearest;
mod schema;
mod wit;

pub use nearest::nearest;

use serde::{Deserialize, Serialize};

/// A WIT type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Type {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `u8`
    U8,
    /// `s16`
    S16,
    /// `u16`
    U16,
    /// `s32`
    S32,
    /// `u32`
    U32,
    /// `s64`
    S64,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// `string`
    String,
    /// `list<T>`
    List(Box<Type>),
    /// `tuple<A, B, …>`
    Tuple(Vec<Type>),
    /// `option<T>`
    Option(Box<Type>),
    /// `result<T, E>`; an absent side carries nothing.
    Result {
        /// The type of `ok`.
        ok: Option<Box<Type>>,
        /// The type of `err`.
        err: Option<Box<Type>>,
    },
    /// A record.
    Record {
        /// Its name, where the component tells it.
        name: Option<String>,
        /// Its fields, in order.
        fields: Vec<Field>,
    },
    /// A variant.
    Variant {
        /// Its name, where the component tells it.
        name: Option<String>,
        /// Its cases, in order.
        cases: Vec<Case>,
    },
    /// An enum.
    Enum {
        /// Its name, where the component tells it.
        name: Option<String>,
        /// Its cases, in order.
        cases: Vec<String>,
    },
    /// A set of flags.
    Flags {
        /// Its name, where the component tells it.
        name: Option<String>,
        /// Its flags, in order.
        flags: Vec<String>,
    },
}

/// A field of a record, or a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// Its name, in kebab-case.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Case {
    /// Its name, in kebab-case.
    pub name: String,
    /// What it carries.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub ty: Option<Type>,
}

/// What a function takes and gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signature {
    /// The parameters, in order.
    pub params: Vec<Field>,
    /// The result, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Type>,
}

impl Type {
    /// Whether a value may be left out: `option<T>` alone.
    pub fn is_option(&self) -> bool {
        matches!(self, Self::Option(_))
    }
}
