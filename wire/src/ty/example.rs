//! A value of each type, for the example calls that people copy.

use serde_json::{Map, Value, json};

use super::{Case, Field, Signature, Type};

impl Type {
    /// A small JSON value that the JSON mapping accepts for this type.
    pub fn example(&self) -> Value {
        match self {
            Self::Bool => json!(true),
            Self::F32 | Self::F64 => json!(1.5),
            Self::Char => json!("a"),
            Self::String => json!("text"),
            Self::List(item) if **item == Self::U8 => json!({ "base64": "aGVsbG8=" }),
            Self::List(item) => json!([item.example()]),
            Self::Tuple(items) => items.iter().map(Self::example).collect(),
            Self::Option(item) if item.is_option() => json!({ "some": item.example() }),
            Self::Option(item) => item.example(),
            Self::Result { ok, .. } => json!({ "ok": ok.as_ref().map(|ty| ty.example()) }),
            Self::Record { fields, .. } => object(fields),
            Self::Variant { cases, .. } => cases.first().map_or(Value::Null, Case::example),
            Self::Enum { cases, .. } => json!(cases.first()),
            Self::Flags { flags, .. } => json!(flags.first().as_slice()),
            _ => json!(1),
        }
    }
}

impl Case {
    fn example(&self) -> Value {
        match &self.ty {
            Some(ty) => json!({ &*self.name: ty.example() }),
            None => json!(self.name),
        }
    }
}

impl Signature {
    /// Example arguments by name; options are left out.
    pub fn example(&self) -> Value {
        let required: Vec<_> = self.params.iter().filter(|p| !p.ty.is_option()).cloned().collect();
        object(&required)
    }
}

fn object(fields: &[Field]) -> Value {
    let pairs = fields.iter().map(|field| (field.name.clone(), field.ty.example()));
    Value::Object(pairs.collect::<Map<_, _>>())
}
