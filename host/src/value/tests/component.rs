//! Component types made from types as data, through WAT: what a real component would show.

use std::fmt::Write as _;

use jackfield_wire::Type;
use jackfield_wire::ty::{Case, Field, Signature};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentItem};

use crate::value::{MethodPlan, TypeNames};

/// The plan of a function `f` with this signature, as read from a component that has it.
pub(super) fn plan_of(signature: &Signature) -> MethodPlan {
    let (function, names) = read(&wat(signature));
    MethodPlan::new("f", &function, Some(INTERFACE), &names).expect("these types can travel")
}

/// The function `f` that the component in `wat` imports, and the component's names of types.
pub(super) fn read(wat: &str) -> (ComponentFunc, TypeNames) {
    let engine = Engine::default();
    let bytes = wat::parse_str(wat).unwrap_or_else(|e| panic!("{e}\n{wat}"));
    let component = Component::new(&engine, bytes).unwrap_or_else(|e| panic!("{e:#}\n{wat}"));
    let ty = component.component_type();
    let ComponentItem::ComponentInstance(instance) = ty.get_import(&engine, INTERFACE).unwrap().ty
    else {
        panic!("{INTERFACE} is not an instance");
    };
    let ComponentItem::ComponentFunc(function) = instance.get_export(&engine, "f").unwrap().ty
    else {
        panic!("f is not a function");
    };
    (function, TypeNames::of(&component, &engine))
}

/// A component that imports an interface with a function `f` of this signature.
fn wat(signature: &Signature) -> String {
    let mut definitions = Definitions::default();
    let mut function = String::new();
    for Field { name, ty } in &signature.params {
        let ty = definitions.refer(ty);
        write!(function, " (param \"{name}\" {ty})").unwrap();
    }
    if let Some(ty) = &signature.result {
        write!(function, " (result {})", definitions.refer(ty)).unwrap();
    }
    let types = definitions.text;
    format!(
        "(component (import \"{INTERFACE}\" (instance\n{types}  (export \"f\" (func{function})))))"
    )
}

#[derive(Default)]
struct Definitions {
    text: String,
    done: Vec<String>,
}

impl Definitions {
    /// How to write `ty` where it is used; named types are defined before.
    fn refer(&mut self, ty: &Type) -> String {
        match ty {
            Type::List(item) => format!("(list {})", self.refer(item)),
            Type::Option(item) => format!("(option {})", self.refer(item)),
            Type::Tuple(items) => {
                let items: Vec<_> = items.iter().map(|item| self.refer(item)).collect();
                format!("(tuple {})", items.join(" "))
            }
            Type::Result { ok, err } => {
                let ok = ok.as_ref().map(|ty| self.refer(ty)).unwrap_or_default();
                let err = err.as_ref().map(|ty| format!("(error {})", self.refer(ty)));
                format!("(result {ok} {})", err.unwrap_or_default())
            }
            named if named.name().is_some() => self.define(named),
            scalar => scalar.to_wit(),
        }
    }

    fn define(&mut self, ty: &Type) -> String {
        let name = ty.name().expect("only named types come here");
        if !self.done.iter().any(|done| done == name) {
            let body = self.body(ty);
            writeln!(self.text, "  (type ${name}-0 {body})").unwrap();
            writeln!(self.text, "  (export \"{name}\" (type ${name} (eq ${name}-0)))").unwrap();
            self.done.push(name.to_owned());
        }
        format!("${name}")
    }

    fn body(&mut self, ty: &Type) -> String {
        let quoted = |names: &[String]| {
            names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" ")
        };
        match ty {
            Type::Enum { cases, .. } => format!("(enum {})", quoted(cases)),
            Type::Flags { flags, .. } => format!("(flags {})", quoted(flags)),
            Type::Record { fields, .. } => {
                let field =
                    |field: &Field| format!("(field \"{}\" {})", field.name, self.refer(&field.ty));
                format!("(record {})", fields.iter().map(field).collect::<String>())
            }
            Type::Variant { cases, .. } => {
                let case = |case: &Case| {
                    let ty = case.ty.as_ref().map(|ty| self.refer(ty)).unwrap_or_default();
                    format!("(case \"{}\" {ty})", case.name)
                };
                format!("(variant {})", cases.iter().map(case).collect::<String>())
            }
            other => panic!("{other} needs no definition"),
        }
    }
}

pub(super) const INTERFACE: &str = "demo:test/types";

/// A signature with these parameters.
pub(super) fn function(params: &[(&str, Type)], result: Option<Type>) -> Signature {
    let field = |(name, ty): &(&str, Type)| Field { name: (*name).into(), ty: ty.clone() };
    Signature { params: params.iter().map(field).collect(), result }
}

#[test]
fn a_name_that_could_be_two_types_is_not_told() {
    let (function, names) = read(&format!(
        "(component (import \"{INTERFACE}\" (instance
            (type $a0 (enum \"x\")) (export \"a\" (type $a (eq $a0)))
            (type $b0 (enum \"x\")) (export \"b\" (type (eq $b0)))
            (type $c0 (enum \"y\")) (export \"c\" (type $c (eq $c0)))
            (export \"f\" (func (param \"p\" $a) (param \"q\" $c))))))"
    ));
    let plan = MethodPlan::new("f", &function, Some(INTERFACE), &names).unwrap();
    assert_eq!(plan.signature().to_wit("f"), "f: func(p: enum { x }, q: c)");
}

#[test]
fn a_resource_is_refused_with_its_parameter() {
    let (function, names) = read(&format!(
        "(component (import \"{INTERFACE}\" (instance
            (export \"r\" (type $r (sub resource)))
            (export \"f\" (func (param \"file\" (list (own $r))))))))"
    ));
    let error = MethodPlan::new("f", &function, Some(INTERFACE), &names).unwrap_err();
    assert_eq!(error.to_string(), "parameter file uses a resource, which cannot travel in a call");
}

#[test]
fn a_type_that_doubles_with_every_level_is_refused() {
    let mut ty = Type::U8;
    for _ in 0..12 {
        ty = Type::Tuple(vec![ty.clone(), ty.clone()]);
    }
    let fits = MethodPlan::new_from(&function(&[("p", ty.clone())], None));
    assert!(fits.is_ok());
    let ty = Type::Tuple(vec![ty.clone(), ty]);
    let error = MethodPlan::new_from(&function(&[("p", ty)], None)).unwrap_err();
    assert!(error.to_string().contains("more than 10000 parts"), "{error}");
}

#[test]
fn a_type_that_nests_too_deep_is_refused() {
    let mut ty = Type::U8;
    for _ in 0..70 {
        ty = Type::List(Box::new(ty));
    }
    let error = MethodPlan::new_from(&function(&[], Some(ty))).unwrap_err();
    assert_eq!(error.to_string(), "the result nests types deeper than 64 levels");
}

impl MethodPlan {
    fn new_from(signature: &Signature) -> Result<Self, crate::value::types::Unsupported> {
        let (function, names) = read(&wat(signature));
        Self::new("f", &function, Some(INTERFACE), &names)
    }
}
