//! WAVE text (WebAssembly Value Encoding) to the JSON of the mapping.
//!
//! The grammar is `wasm-wave`'s; the types are Jackfield's.

use std::fmt::Display;

use jackfield_wire::Type;
use jackfield_wire::ty::{Case, Field, nearest};
use serde_json::{Map, Value, json};
use wasm_wave::ast::Node;
use wasm_wave::untyped::UntypedValue;

/// Reads WAVE text as a value of type `ty`.
///
/// # Errors
/// When it is not WAVE, or not of that type: what, and where in the value.
pub(super) fn read(text: &str, ty: &Type) -> Result<Value, String> {
    let value =
        UntypedValue::parse(text).map_err(|error| format!("neither JSON nor WAVE: {error}"))?;
    let reader = Reader { source: text };
    reader.value(value.node(), ty).map_err(|Fault { path, what }| match path.is_empty() {
        true => what,
        false => format!("at {}: {what}", path.trim_start_matches('.')),
    })
}

/// What is wrong, and where.
struct Fault {
    path: String,
    what: String,
}

impl Fault {
    fn new(what: impl Into<String>) -> Self {
        Self { path: String::new(), what: what.into() }
    }

    /// The same, seen from one step further out.
    fn inside(self, step: impl Display) -> Self {
        Self { path: format!("{step}{}", self.path), ..self }
    }
}

struct Reader<'a> {
    source: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&self, node: &Node, ty: &Type) -> Result<Value, Fault> {
        let wrong = |_| self.wrong(node, ty);
        Ok(match ty {
            Type::Bool => node.as_bool().map_err(wrong)?.into(),
            Type::Char => node.as_char(self.source).map_err(wrong)?.to_string().into(),
            Type::String => node.as_str(self.source).map_err(wrong)?.into_owned().into(),
            Type::Enum { cases, .. } => {
                let name = node.as_enum(self.source).map_err(wrong)?;
                known(name, cases.iter().map(String::as_str), "case")?.into()
            }
            Type::Flags { flags, .. } => {
                let names = node.as_flags(self.source).map_err(wrong)?;
                let names = names.map(|name| known(name, flags.iter().map(String::as_str), "flag"));
                names.collect::<Result<Vec<_>, _>>()?.into()
            }
            Type::List(item) => {
                let items = node.as_list().map_err(wrong)?.map(|node| (node, &**item));
                self.items(items)?
            }
            Type::Tuple(types) => {
                let items = node.as_tuple().map_err(wrong)?;
                if items.len() != types.len() {
                    return Err(self.wrong(node, ty));
                }
                self.items(items.zip(types))?
            }
            Type::Option(item) => return self.option(node, ty, item),
            Type::Result { ok, err } => {
                return self.result(node, ty, [ok.as_deref(), err.as_deref()]);
            }
            Type::Record { fields, .. } => return self.record(node, ty, fields),
            Type::Variant { cases, .. } => return self.variant(node, ty, cases),
            number => self
                .number(node)
                .ok_or_else(|| self.wrong(node, number))
                .and_then(|text| super::read_word(&text, number).map_err(Fault::new))?,
        })
    }

    fn items<'n>(&self, items: impl Iterator<Item = (&'n Node, &'n Type)>) -> Result<Value, Fault> {
        let values = items.enumerate().map(|(index, (node, ty))| {
            self.value(node, ty).map_err(|fault| fault.inside(format_args!("[{index}]")))
        });
        Ok(Value::Array(values.collect::<Result<_, _>>()?))
    }

    /// The text of a number.
    fn number(&self, node: &Node) -> Option<String> {
        node.as_number(self.source).ok()
    }

    fn option(&self, node: &Node, ty: &Type, item: &Type) -> Result<Value, Fault> {
        match node.as_option() {
            Ok(None) => Ok(Value::Null),
            Ok(Some(inner)) => {
                let value = self.value(inner, item)?;
                Ok(if item.is_option() { json!({ "some": value }) } else { value })
            }
            Err(_) if stands_for_itself(item) => self.value(node, item),
            Err(_) => Err(self.wrong(node, ty)),
        }
    }

    fn result(&self, node: &Node, ty: &Type, sides: [Option<&Type>; 2]) -> Result<Value, Fault> {
        let [ok, err] = sides;
        match node.as_result() {
            Ok(Ok(inner)) => Ok(json!({ "ok": self.payload(inner, ok, "ok")? })),
            Ok(Err(inner)) => Ok(json!({ "err": self.payload(inner, err, "err")? })),
            Err(_) => match ok.filter(|ok| stands_for_itself(ok)) {
                Some(ok) => Ok(json!({ "ok": self.value(node, ok)? })),
                None => Err(self.wrong(node, ty)),
            },
        }
    }

    fn payload(&self, node: Option<&Node>, ty: Option<&Type>, of: &str) -> Result<Value, Fault> {
        match (node, ty) {
            (Some(node), Some(ty)) => {
                self.value(node, ty).map_err(|fault| fault.inside(format_args!(".{of}")))
            }
            (None, None) => Ok(Value::Null),
            (None, Some(ty)) => Err(Fault::new(format!("{of} carries {ty}: write {of}(…)"))),
            (Some(_), None) => Err(Fault::new(format!("{of} carries nothing"))),
        }
    }

    fn record(&self, node: &Node, ty: &Type, fields: &[Field]) -> Result<Value, Fault> {
        let entries = node.as_record(self.source).map_err(|_| self.wrong(node, ty))?;
        let mut object = Map::new();
        for (name, node) in entries {
            known(name, fields.iter().map(|field| &*field.name), "field")?;
            let field = fields.iter().find(|field| field.name == name);
            let ty = field.map_or(ty, |field| &field.ty);
            let value =
                self.value(node, ty).map_err(|fault| fault.inside(format_args!(".{name}")))?;
            object.insert(name.to_owned(), value);
        }
        let missing = |field: &&Field| !field.ty.is_option() && !object.contains_key(&field.name);
        match fields.iter().find(missing) {
            Some(field) => Err(Fault::new(format!("field {field} is missing"))),
            None => Ok(Value::Object(object)),
        }
    }

    fn variant(&self, node: &Node, ty: &Type, cases: &[Case]) -> Result<Value, Fault> {
        let (name, payload) = node.as_variant(self.source).map_err(|_| self.wrong(node, ty))?;
        known(name, cases.iter().map(|case| &*case.name), "case")?;
        let case = cases.iter().find(|case| case.name == name);
        let ty = case.and_then(|case| case.ty.as_ref());
        let value = self.payload(payload, ty, name)?;
        Ok(if ty.is_some() { json!({ name: value }) } else { name.into() })
    }

    fn wrong(&self, node: &Node, ty: &Type) -> Fault {
        let got = self.source.get(node.span()).unwrap_or_default();
        let shown: String = got.chars().take(super::SHOWN).collect();
        Fault::new(format!("expected {ty}, got {shown}"))
    }
}

/// Whether WAVE lets a value of this type stand for `some(…)` or `ok(…)` of it.
fn stands_for_itself(ty: &Type) -> bool {
    !matches!(ty, Type::Option(_) | Type::Result { .. })
}

fn known<'n>(
    name: &'n str,
    names: impl Iterator<Item = &'n str> + Clone,
    what: &str,
) -> Result<&'n str, Fault> {
    if names.clone().any(|known| known == name) {
        return Ok(name);
    }
    let hint = match nearest(name, names.clone()) {
        Some(near) => format!("; did you mean {near}?"),
        None => format!("; there is {}", names.collect::<Vec<_>>().join(", ")),
    };
    Err(Fault::new(format!("no {what} {name:?}{hint}")))
}
