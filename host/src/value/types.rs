//! Component types as data, read when a component is loaded.
//!
//! The names of records, variants, enums and flags are not at their use sites in the binary. They
//! are found among the types that the component's interfaces export or import beside their
//! functions, by structure. Where two names stand for the same structure nobody can tell which
//! was meant, and none is told.

use std::collections::HashSet;

use jackfield_wire::Type;
use jackfield_wire::ty::{Case, Field, Signature};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{self, ComponentFunc, ComponentItem};

/// The named types of a component.
#[derive(Debug, Default)]
pub(crate) struct TypeNames {
    /// The name of each interface, none for the component's root, and its types.
    interfaces: Vec<(Option<String>, Vec<Named>)>,
}

type Named = (String, types::Type);

impl TypeNames {
    /// Collects the names of the types that `component` exports and imports.
    pub(crate) fn of(component: &Component, engine: &Engine) -> Self {
        let ty = component.component_type();
        let mut names = Self::default();
        names.add(None, ty.exports(engine).map(|(name, item)| (name, item.ty)));
        let items = ty.exports(engine).chain(ty.imports(engine));
        for (interface, item) in items {
            if let ComponentItem::ComponentInstance(instance) = item.ty {
                let exports = instance.exports(engine).map(|(name, item)| (name, item.ty));
                names.add(Some(interface), exports);
            }
        }
        names
    }

    fn add<'a>(
        &mut self,
        interface: Option<&str>,
        items: impl Iterator<Item = (&'a str, ComponentItem)>,
    ) {
        let types = items.filter_map(|(name, item)| match item {
            ComponentItem::Type(ty) => Some((name.to_owned(), ty)),
            _ => None,
        });
        self.interfaces.push((interface.map(str::to_owned), types.collect()));
    }

    /// The name of `ty`: as the function's own interface has it, else as any other does.
    fn find(&self, interface: Option<&str>, ty: &types::Type) -> Option<String> {
        let own = |named: &str| Some(named) == interface;
        let in_interface = |wanted: bool| -> HashSet<&str> {
            let interfaces = self.interfaces.iter();
            interfaces
                .filter(|(name, _)| name.as_deref().is_some_and(own) == wanted)
                .flat_map(|(_, types)| types)
                .filter(|(_, known)| known == ty)
                .map(|(name, _)| name.as_str())
                .collect()
        };
        let mut found = in_interface(true);
        if found.is_empty() {
            found = in_interface(false);
        }
        let mut names = found.into_iter();
        names.next().filter(|_| names.next().is_none()).map(str::to_owned)
    }
}

/// Why a function cannot be called from afar.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsupported {
    /// One of its types cannot travel.
    #[error("{place} uses {what}, which cannot travel in a call")]
    Type {
        /// The parameter or the result.
        place: String,
        /// What WIT calls it.
        what: &'static str,
    },
    /// Its types nest too deep.
    #[error("{place} nests types deeper than {MAX_DEPTH} levels")]
    Depth {
        /// The parameter or the result.
        place: String,
    },
    /// Its types are too many.
    #[error("its types have more than {MAX_PARTS} parts when written out")]
    Size,
}

/// The signature of `function`, which `interface` exports (`None`: the component's root).
///
/// # Errors
/// When one of its types cannot travel.
pub(super) fn signature(
    function: &ComponentFunc,
    interface: Option<&str>,
    names: &TypeNames,
) -> Result<Signature, Unsupported> {
    let mut reader = Reader { names, interface, parts: 0, place: String::new() };
    let mut params = Vec::new();
    for (name, ty) in function.params() {
        reader.place = format!("parameter {name}");
        params.push(Field { name: name.to_owned(), ty: reader.read(&ty, 1)? });
    }
    reader.place = "the result".to_owned();
    let result = function.results().next().map(|ty| reader.read(&ty, 1)).transpose()?;
    Ok(Signature { params, result })
}

/// Reads the types of one function.
struct Reader<'a> {
    names: &'a TypeNames,
    interface: Option<&'a str>,
    /// Types seen so far: a type is a tree here, and can be a much smaller graph in the binary.
    parts: usize,
    place: String,
}

impl Reader<'_> {
    fn read(&mut self, ty: &types::Type, depth: usize) -> Result<Type, Unsupported> {
        if depth > MAX_DEPTH {
            return Err(Unsupported::Depth { place: self.place.clone() });
        }
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(Unsupported::Size);
        }
        match scalar(ty) {
            Some(scalar) => Ok(scalar),
            None => self.compound(ty, depth + 1),
        }
    }

    fn compound(&mut self, ty: &types::Type, depth: usize) -> Result<Type, Unsupported> {
        let name = || self.names.find(self.interface, ty);
        Ok(match ty {
            types::Type::List(list) => Type::List(Box::new(self.read(&list.ty(), depth)?)),
            types::Type::Option(option) => Type::Option(Box::new(self.read(&option.ty(), depth)?)),
            types::Type::Tuple(tuple) => Type::Tuple(
                tuple.types().map(|ty| self.read(&ty, depth)).collect::<Result<_, _>>()?,
            ),
            types::Type::Result(result) => Type::Result {
                ok: self.boxed(result.ok(), depth)?,
                err: self.boxed(result.err(), depth)?,
            },
            types::Type::Enum(names) => {
                Type::Enum { name: name(), cases: names.names().map(str::to_owned).collect() }
            }
            types::Type::Flags(flags) => {
                Type::Flags { name: name(), flags: flags.names().map(str::to_owned).collect() }
            }
            types::Type::Record(record) => {
                Type::Record { name: name(), fields: self.fields(record, depth)? }
            }
            types::Type::Variant(variant) => {
                Type::Variant { name: name(), cases: self.cases(variant, depth)? }
            }
            other => {
                let what = unsupported(other);
                return Err(Unsupported::Type { place: self.place.clone(), what });
            }
        })
    }

    fn boxed(
        &mut self,
        ty: Option<types::Type>,
        depth: usize,
    ) -> Result<Option<Box<Type>>, Unsupported> {
        ty.map(|ty| self.read(&ty, depth).map(Box::new)).transpose()
    }

    fn fields(&mut self, record: &types::Record, depth: usize) -> Result<Vec<Field>, Unsupported> {
        let fields = record.fields();
        fields
            .map(|field| {
                Ok(Field { name: field.name.to_owned(), ty: self.read(&field.ty, depth)? })
            })
            .collect()
    }

    fn cases(&mut self, variant: &types::Variant, depth: usize) -> Result<Vec<Case>, Unsupported> {
        let cases = variant.cases();
        cases
            .map(|case| {
                let ty = case.ty.map(|ty| self.read(&ty, depth)).transpose()?;
                Ok(Case { name: case.name.to_owned(), ty })
            })
            .collect()
    }
}

fn scalar(ty: &types::Type) -> Option<Type> {
    Some(match ty {
        types::Type::Bool => Type::Bool,
        types::Type::S8 => Type::S8,
        types::Type::U8 => Type::U8,
        types::Type::S16 => Type::S16,
        types::Type::U16 => Type::U16,
        types::Type::S32 => Type::S32,
        types::Type::U32 => Type::U32,
        types::Type::S64 => Type::S64,
        types::Type::U64 => Type::U64,
        types::Type::Float32 => Type::F32,
        types::Type::Float64 => Type::F64,
        types::Type::Char => Type::Char,
        types::Type::String => Type::String,
        _ => return None,
    })
}

fn unsupported(ty: &types::Type) -> &'static str {
    match ty {
        types::Type::Own(_) => "a resource",
        types::Type::Borrow(_) => "a borrowed resource",
        types::Type::Future(_) => "a future",
        types::Type::Stream(_) => "a stream",
        types::Type::ErrorContext => "an error-context",
        types::Type::Map(_) => "a map",
        types::Type::FixedLengthList(_) => "a list of fixed length",
        _ => "a type that this version does not know",
    }
}

/// Types nest no deeper, so that reading and writing values by them is recursion of known depth:
/// each level adds at most one level of JSON, of which `serde_json` allows 128.
const MAX_DEPTH: usize = 64;

/// A signature has no more parts. In the binary a type can share its parts and so double in size
/// with every level, which a listing would have to write out.
const MAX_PARTS: usize = 10_000;
