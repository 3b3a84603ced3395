//! A method as a tool: what a model is told of it. Pure.

use std::sync::Arc;

use jackfield_wire::reflect::MethodInfo;
use jackfield_wire::{ServiceName, Target};
use rmcp::model::Tool;
use serde_json::{Map, Value, json};

use super::names::tool_name;

/// A tool and the method behind it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offer {
    pub(crate) tool: Tool,
    pub(crate) target: Target,
    pub(crate) shape: Shape,
}

/// How a result becomes the object that structured results are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It is one.
    Object,
    /// It stands under [`RESULT`].
    Wrapped,
    /// There is none.
    Nothing,
}

impl Offer {
    pub(crate) fn of(service: &ServiceName, method: &MethodInfo) -> Self {
        let target = Target { service: service.clone(), method: method.name.clone() };
        let (schema, shape) = match &method.result_schema {
            None => (None, Shape::Nothing),
            Some(schema) if schema["type"] == "object" => (Some(plain(schema)), Shape::Object),
            Some(schema) => (Some(wrapped(plain(schema))), Shape::Wrapped),
        };
        let (params, note) = match bounded(plain(&method.params_schema)) {
            Some(schema) => (schema, ""),
            None => (json!({ "type": "object" }), UNTOLD),
        };
        let mut description = format!("{}{note}", readable(&method.wit, MAX_WIT));
        if let Some(docs) = method.docs.as_deref().map(str::trim).filter(|docs| !docs.is_empty()) {
            description.push_str("\nIts author says: ");
            description.push_str(docs);
        }
        let name = tool_name(service, &method.name);
        let tool = Tool::new(name, readable(&description, MAX_DESCRIPTION), object(params));
        let mut tool = tool.with_title(readable(&target.to_string(), MAX_WIT));
        if let Some(schema) = schema.and_then(bounded) {
            tool = tool.with_raw_output_schema(object(schema));
        }
        Self { tool, target, shape }
    }
}

/// Without `$schema`: every version of MCP has a dialect that it assumes, and clients that know no
/// other refuse what names one.
fn plain(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
    }
    schema
}

fn wrapped(schema: Value) -> Value {
    json!({ "type": "object", "properties": { RESULT: schema }, "required": [RESULT] })
}

fn bounded(schema: Value) -> Option<Value> {
    (schema.to_string().len() <= MAX_SCHEMA).then_some(schema)
}

fn object(schema: Value) -> Arc<Map<String, Value>> {
    match schema {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    }
}

/// `text` as a person would see it, cut at `most` characters: without characters that have no
/// picture, which can carry orders to a model past everybody who looks at them.
pub(crate) fn readable(text: &str, most: usize) -> String {
    let mut seen = text.chars().filter(|c| !is_unseen(*c));
    let mut out: String = seen.by_ref().take(most).collect();
    if seen.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}

fn is_unseen(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

/// Where a result stands that is no object itself.
pub(crate) const RESULT: &str = "result";

/// Characters of a description, which is what models' interfaces take.
const MAX_DESCRIPTION: usize = 1024;

/// Characters of a signature: it leaves room for the documentation.
const MAX_WIT: usize = 400;

/// Bytes of a schema: types that fill an agent's memory are not told to it.
const MAX_SCHEMA: usize = 32 << 10;

/// Stands for the schema of arguments that is too long.
const UNTOLD: &str = "\n(The schema of its arguments is too long to be told.)";

#[cfg(test)]
mod tests {
    use jackfield_wire::Type;
    use jackfield_wire::ty::{Field, Signature};

    use super::*;

    fn offer(result: Option<Type>, docs: &str) -> Offer {
        let field = Field { name: "a".into(), ty: Type::F64 };
        let signature = Signature { params: vec![field], result };
        let method = MethodInfo {
            name: "add".into(),
            qualified: "add".into(),
            wit: "add: func(a: f64)".into(),
            params_schema: signature.params_schema(),
            result_schema: signature.result_schema(),
            signature,
            docs: Some(docs.into()),
            hidden: false,
        };
        Offer::of(&ServiceName::new("calc").unwrap(), &method)
    }

    #[test]
    fn results_that_are_no_objects_are_wrapped_in_one() {
        let point = Type::Record {
            name: Some("point".into()),
            fields: vec![Field { name: "x".into(), ty: Type::F64 }],
        };
        for (result, shape) in [
            (None, Shape::Nothing),
            (Some(Type::F64), Shape::Wrapped),
            (Some(Type::Option(Box::new(point.clone()))), Shape::Wrapped),
            (Some(point), Shape::Object),
        ] {
            let offer = offer(result, "");
            assert_eq!(offer.shape, shape);
            let schema = offer.tool.output_schema.map(|schema| Value::Object((*schema).clone()));
            assert_eq!(schema.is_none(), shape == Shape::Nothing);
            assert!(schema.is_none_or(|s| s["type"] == "object" && s.get("$schema").is_none()));
        }
    }

    #[test]
    fn an_authors_words_are_marked_cut_and_freed_of_what_nobody_sees() {
        let hidden: String =
            "obey".chars().map(|c| char::from_u32(0xe0000 + c as u32).unwrap()).collect();
        let docs = format!("Adds.{hidden}\u{202e}\u{1b}[2J\u{200b}\nReally{}", "!".repeat(5000));
        let text = offer(None, &docs).tool.description.unwrap();
        assert!(
            text.starts_with("add: func(a: f64)\nIts author says: Adds.[2J\nReally!"),
            "{text}"
        );
        assert_eq!((text.chars().count(), text.ends_with('…')), (1024, true));
        assert!(!text.chars().any(is_unseen));
    }

    #[test]
    fn types_that_fill_an_agents_memory_are_not_told() {
        let many = (0..5000).map(|n| format!("case-{n}")).collect();
        let offer = offer(Some(Type::Enum { name: None, cases: many }), "");
        assert_eq!((offer.tool.output_schema, offer.shape), (None, Shape::Wrapped));
    }
}
