//! WIT text of types, in one line each, and of the definitions that a signature leans on.

use std::fmt::{self, Display, Write as _};

use super::{Case, Field, Signature, Type};

impl Display for Type {
    /// Named types by their name, everything else written out. A record, variant, enum or set of
    /// flags whose name is not known stands inline, which WIT itself does not allow but people
    /// can read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => Name(name).fmt(f),
            None => self.write_out(f),
        }
    }
}

impl Type {
    /// The type as inline WIT text: `list<option<point>>`.
    pub fn to_wit(&self) -> String {
        self.to_string()
    }

    /// The name of a record, variant, enum or set of flags, where the component tells it.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Record { name, .. }
            | Self::Variant { name, .. }
            | Self::Enum { name, .. }
            | Self::Flags { name, .. } => name.as_deref(),
            _ => None,
        }
    }

    /// The WIT definition of a named type: `record point { x: f64, y: f64 }`.
    pub fn definition(&self) -> Option<String> {
        let name = self.name()?;
        let (keyword, items) = self.items()?;
        let line = format!("{keyword} {} {{ {} }}", Name(name), items.join(", "));
        if line.len() <= DEFINITION_WIDTH {
            return Some(line);
        }
        let items: String = items.iter().map(|item| format!("  {item},\n")).collect();
        Some(format!("{keyword} {} {{\n{items}}}", Name(name)))
    }

    fn write_out(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Option(item) => write!(f, "option<{item}>"),
            Self::Tuple(items) => write!(f, "tuple<{}>", join(items)),
            Self::Result { ok: None, err: None } => f.write_str("result"),
            Self::Result { ok: Some(ok), err: None } => write!(f, "result<{ok}>"),
            Self::Result { ok: None, err: Some(err) } => write!(f, "result<_, {err}>"),
            Self::Result { ok: Some(ok), err: Some(err) } => write!(f, "result<{ok}, {err}>"),
            other => match other.items() {
                Some((keyword, items)) => write!(f, "{keyword} {{ {} }}", items.join(", ")),
                None => f.write_str(other.keyword()),
            },
        }
    }

    /// The keyword and the written items of a type that WIT wants defined by name.
    fn items(&self) -> Option<(&'static str, Vec<String>)> {
        let items = match self {
            Self::Record { fields, .. } => fields.iter().map(Field::to_string).collect(),
            Self::Variant { cases, .. } => cases.iter().map(Case::to_string).collect(),
            Self::Enum { cases: names, .. } | Self::Flags { flags: names, .. } => {
                names.iter().map(|name| Name(name).to_string()).collect()
            }
            _ => return None,
        };
        Some((self.keyword(), items))
    }

    /// The word that WIT has for this kind of type.
    fn keyword(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::S8 => "s8",
            Self::U8 => "u8",
            Self::S16 => "s16",
            Self::U16 => "u16",
            Self::S32 => "s32",
            Self::U32 => "u32",
            Self::S64 => "s64",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "string",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Option(_) => "option",
            Self::Result { .. } => "result",
            Self::Record { .. } => "record",
            Self::Variant { .. } => "variant",
            Self::Enum { .. } => "enum",
            Self::Flags { .. } => "flags",
        }
    }

    /// The types that this one is made of, in order.
    fn parts(&self) -> Vec<&Type> {
        match self {
            Self::List(item) | Self::Option(item) => vec![&**item],
            Self::Tuple(items) => items.iter().collect(),
            Self::Result { ok, err } => [ok, err].into_iter().flatten().map(|ty| &**ty).collect(),
            Self::Record { fields, .. } => fields.iter().map(|field| &field.ty).collect(),
            Self::Variant { cases, .. } => cases.iter().filter_map(|c| c.ty.as_ref()).collect(),
            _ => Vec::new(),
        }
    }
}

impl Signature {
    /// The signature as WIT text: `add: func(a: f64, b: f64, c: option<f64>) -> f64`.
    pub fn to_wit(&self, name: &str) -> String {
        let mut text = format!("{}: func({})", Name(name), join(&self.params));
        if let Some(result) = &self.result {
            write!(text, " -> {result}").expect("writing into a String cannot fail");
        }
        text
    }

    /// The WIT definitions of the named types that the signature uses, each after those that it
    /// needs itself, one below the other; empty when it uses none.
    pub fn definitions(&self) -> String {
        let mut found = Vec::new();
        let types = self.params.iter().map(|param| &param.ty).chain(&self.result);
        types.for_each(|ty| collect(ty, &mut found));
        let texts: Vec<_> = found.into_iter().filter_map(Type::definition).collect();
        texts.join("\n")
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Name(&self.name), self.ty)
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ty {
            Some(ty) => write!(f, "{}({ty})", Name(&self.name)),
            None => Name(&self.name).fmt(f),
        }
    }
}

/// A name as WIT writes it: with `%` where it would be read as a keyword.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = if KEYWORDS.contains(&self.0) { "%" } else { "" };
        write!(f, "{escape}{}", self.0)
    }
}

fn join<T: Display>(items: &[T]) -> String {
    let texts: Vec<_> = items.iter().map(T::to_string).collect();
    texts.join(", ")
}

fn collect<'a>(ty: &'a Type, found: &mut Vec<&'a Type>) {
    for part in ty.parts() {
        collect(part, found);
    }
    if ty.name().is_some() && !found.contains(&ty) {
        found.push(ty);
    }
}

/// Definitions longer than this get a line per item.
const DEFINITION_WIDTH: usize = 90;

/// The keywords of WIT (component-model repository, `design/mvp/WIT.md`, "Keywords").
const KEYWORDS: &[&str] = &[
    "as",
    "async",
    "bool",
    "borrow",
    "char",
    "constructor",
    "enum",
    "error-context",
    "export",
    "f32",
    "f64",
    "flags",
    "from",
    "func",
    "future",
    "import",
    "include",
    "interface",
    "list",
    "map",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "s16",
    "s32",
    "s64",
    "s8",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "u16",
    "u32",
    "u64",
    "u8",
    "use",
    "variant",
    "with",
    "world",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn point() -> Type {
        let field = |name: &str| Field { name: name.into(), ty: Type::F64 };
        Type::Record { name: Some("point".into()), fields: vec![field("x"), field("y")] }
    }

    fn signature() -> Signature {
        let shape = Type::Variant {
            name: Some("shape".into()),
            cases: vec![
                Case { name: "empty".into(), ty: None },
                Case { name: "dot".into(), ty: Some(point()) },
            ],
        };
        let param = |name: &str, ty| Field { name: name.into(), ty };
        Signature {
            params: vec![param("at", point()), param("type", Type::Option(Box::new(shape)))],
            result: Some(Type::Result { ok: None, err: Some(Box::new(Type::String)) }),
        }
    }

    #[test]
    fn a_signature_reads_like_wit() {
        assert_eq!(
            signature().to_wit("move"),
            "move: func(at: point, %type: option<shape>) -> result<_, string>"
        );
        assert_eq!(Signature { params: vec![], result: None }.to_wit("ping"), "ping: func()");
    }

    #[test]
    fn definitions_come_once_and_before_their_users() {
        assert_eq!(
            signature().definitions(),
            "record point { x: f64, y: f64 }\nvariant shape { empty, dot(point) }"
        );
    }

    #[test]
    fn a_type_without_a_name_stands_inline() {
        let flags = Type::Flags { name: None, flags: vec!["read".into(), "use".into()] };
        assert_eq!(Type::List(Box::new(flags)).to_wit(), "list<flags { read, %use }>");
    }

    #[test]
    fn a_long_definition_gets_a_line_per_item() {
        let cases = (0..30).map(|i| format!("case-{i}")).collect();
        let ty = Type::Enum { name: Some("long".into()), cases };
        let text = ty.definition().unwrap();
        assert!(text.starts_with("enum long {\n  case-0,\n") && text.ends_with("case-29,\n}"));
    }
}
