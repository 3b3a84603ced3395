//! JSON Schema (2020-12) of types: what the JSON mapping accepts for them.
//!
//! `docs/json-mapping.md` is the specification; where the two part ways, this file is wrong.
//! Schemas describe what is accepted, of which the canonical output is a part. Some rules cannot
//! be told in JSON Schema (a field given twice) and some are left to the host (an `s64` string's
//! range).

use serde_json::{Map, Value, json};

use super::{Case, Field, Signature, Type};

impl Type {
    /// The JSON Schema of values of this type, without `$schema`, so that it can stand inside
    /// another one.
    pub fn json_schema(&self) -> Value {
        let mut schema = self.plain_schema();
        if let (Some(name), Some(object)) = (self.name(), schema.as_object_mut()) {
            object.insert("title".into(), name.into());
        }
        schema
    }

    fn plain_schema(&self) -> Value {
        match self {
            Self::Bool => json!({ "type": "boolean" }),
            Self::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
            Self::String => json!({ "type": "string" }),
            Self::F32 | Self::F64 => float(),
            Self::S64 | Self::U64 => wide(self),
            Self::List(item) if **item == Self::U8 => bytes(),
            Self::List(item) => json!({ "type": "array", "items": item.json_schema() }),
            Self::Tuple(items) => tuple(items),
            Self::Option(item) => option(item),
            Self::Result { ok, err } => json!({ "oneOf": [
                one_key("ok", side(ok.as_deref())),
                one_key("err", side(err.as_deref())),
            ] }),
            Self::Record { fields, .. } => object(fields),
            Self::Variant { cases, .. } => variant(cases),
            Self::Enum { cases, .. } => json!({ "type": "string", "enum": cases }),
            Self::Flags { flags, .. } => json!({
                "type": "array", "items": { "enum": flags }, "uniqueItems": true,
            }),
            narrow => narrow.narrow_schema(),
        }
    }

    fn narrow_schema(&self) -> Value {
        let (minimum, maximum) = self.range().unwrap_or_default();
        json!({ "type": "integer", "minimum": minimum as i64, "maximum": maximum as i64 })
    }

    /// The smallest and the largest value of an integer type.
    pub fn range(&self) -> Option<(i128, i128)> {
        Some(match self {
            Self::S8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::S16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::S32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::S64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
            _ => return None,
        })
    }
}

impl Signature {
    /// The JSON Schema of an object with all arguments by name: options may be left out.
    pub fn params_schema(&self) -> Value {
        let mut schema = object(&self.params);
        schema["$schema"] = DIALECT.into();
        schema
    }

    /// The JSON Schema of what an `ok` answer carries: of `T` for a function that returns
    /// `result<T, E>`. `None` when it carries nothing but `null`.
    pub fn result_schema(&self) -> Option<Value> {
        let ty = match &self.result {
            Some(Type::Result { ok, .. }) => ok.as_deref(),
            other => other.as_ref(),
        };
        with_dialect(ty)
    }

    /// The JSON Schema of what an `application` answer carries: of `E` for a function that
    /// returns `result<T, E>`. `None` for functions that cannot fail so, or say no more than that.
    pub fn error_schema(&self) -> Option<Value> {
        match &self.result {
            Some(Type::Result { err, .. }) => with_dialect(err.as_deref()),
            _ => None,
        }
    }
}

fn with_dialect(ty: Option<&Type>) -> Option<Value> {
    let mut schema = ty?.json_schema();
    schema["$schema"] = DIALECT.into();
    Some(schema)
}

fn float() -> Value {
    json!({ "anyOf": [
        { "type": "number" },
        { "enum": ["NaN", "Infinity", "-Infinity"] },
    ] })
}

fn wide(ty: &Type) -> Value {
    let (pattern, number) = match ty {
        Type::U64 => {
            ("^(0|[1-9][0-9]*)$", json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }))
        }
        _ => (
            "^(0|-?[1-9][0-9]*)$",
            json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX }),
        ),
    };
    json!({ "anyOf": [number, { "type": "string", "pattern": pattern, "maxLength": 20 }] })
}

fn bytes() -> Value {
    json!({ "anyOf": [
        one_key("base64", json!({ "type": "string", "contentEncoding": "base64" })),
        { "type": "array", "items": Type::U8.json_schema() },
    ] })
}

fn tuple(items: &[Type]) -> Value {
    let schemas: Vec<_> = items.iter().map(Type::json_schema).collect();
    // Not `items: false`: to readers that know no `prefixItems` that means an empty array.
    let length = items.len();
    json!({ "type": "array", "prefixItems": schemas, "minItems": length, "maxItems": length })
}

fn option(item: &Type) -> Value {
    let some =
        if item.is_option() { one_key("some", item.json_schema()) } else { item.json_schema() };
    json!({ "anyOf": [{ "type": "null" }, some] })
}

/// The payload of one side of a result.
fn side(ty: Option<&Type>) -> Value {
    ty.map_or_else(|| json!({ "type": "null" }), Type::json_schema)
}

fn variant(cases: &[Case]) -> Value {
    let bare: Vec<_> = cases.iter().filter(|c| c.ty.is_none()).map(|c| &*c.name).collect();
    let mut choices = Vec::new();
    if !bare.is_empty() {
        choices.push(json!({ "enum": bare }));
    }
    let carrying = cases.iter().filter_map(|case| Some((&case.name, case.ty.as_ref()?)));
    choices.extend(carrying.map(|(name, ty)| one_key(name, ty.json_schema())));
    json!({ "oneOf": choices })
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<_, _> =
        fields.iter().map(|field| (field.name.clone(), field.ty.json_schema())).collect();
    let required: Vec<_> =
        fields.iter().filter(|field| !field.ty.is_option()).map(|field| &*field.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn one_key(key: &str, value: Value) -> Value {
    json!({
        "type": "object",
        "properties": { key: value },
        "required": [key],
        "additionalProperties": false,
    })
}

/// The dialect of JSON Schema that these schemas are written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_not_required_and_nothing_else_is_allowed() {
        let field = |name: &str, ty| Field { name: name.into(), ty };
        let signature = Signature {
            params: vec![field("a", Type::U8), field("b", Type::Option(Box::new(Type::Bool)))],
            result: None,
        };
        assert_eq!(
            signature.params_schema(),
            json!({
                "$schema": DIALECT,
                "type": "object",
                "properties": {
                    "a": { "type": "integer", "minimum": 0, "maximum": 255 },
                    "b": { "anyOf": [{ "type": "null" }, { "type": "boolean" }] },
                },
                "required": ["a"],
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn a_result_is_told_apart_into_value_and_error() {
        let result =
            Type::Result { ok: Some(Box::new(Type::Bool)), err: Some(Box::new(Type::Char)) };
        let signature = Signature { params: vec![], result: Some(result) };
        assert_eq!(signature.result_schema().unwrap()["type"], "boolean");
        assert_eq!(signature.error_schema().unwrap()["maxLength"], 1);
    }

    #[test]
    fn a_variant_is_a_bare_name_or_an_object_with_one_key() {
        let ty = Type::Variant {
            name: Some("shape".into()),
            cases: vec![
                Case { name: "empty".into(), ty: None },
                Case { name: "circle".into(), ty: Some(Type::Bool) },
            ],
        };
        let schema = ty.json_schema();
        assert_eq!(schema["title"], "shape");
        assert_eq!(schema["oneOf"][0], json!({ "enum": ["empty"] }));
        assert_eq!(schema["oneOf"][1]["required"], json!(["circle"]));
    }
}
