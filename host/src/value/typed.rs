//! Functions called by static types, for the sake of `list<u8>`.
//!
//! Wasmtime's `Val` holds one tagged value of 40 bytes for each byte of a list; its typed
//! functions copy the list whole, some 700 times as fast. They want Rust types known when this is
//! compiled, and types of one's own would take `unsafe`: so a set of common shapes is listed
//! here, and a function takes this way when `list<u8>` is among its types and its shape is
//! listed; all others go through `Val`. Results are the same either way.

use std::future::Future;
use std::pin::Pin;

use jackfield_wire::Type;
use jackfield_wire::ty::{Field, Signature};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentNamedList, Func, Lift, Lower, Val};

use super::arguments::Argument;
use super::plan::{Answer, CallError};
use super::write::{WriteError, Writer};

/// A listed shape: the position of its parameters, and of its result, in their lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `list<u8>` among the parameters, any listed result.
    Takes(usize, usize),
    /// `list<u8>` in the result alone.
    Gives(usize, usize),
}

type Bytes = Vec<u8>;
type Running<'a> = Pin<Box<dyn Future<Output = Result<Answer, CallError>> + Send + 'a>>;

impl Shape {
    /// The shape of functions with this signature, if it is listed.
    pub(super) fn of(signature: &Signature) -> Option<Self> {
        let (params, result) = (&signature.params[..], signature.result.as_ref());
        let takes = || Some(Self::Takes(with_bytes(params)?, any(result)?));
        let gives = || Some(Self::Gives(without_bytes(params)?, of_bytes(result)?));
        takes().or_else(gives)
    }

    /// Calls a function of this shape with arguments that were read for it.
    pub(super) fn call<'a, T: Send + 'static>(
        self,
        store: StoreContextMut<'a, T>,
        function: Func,
        arguments: Vec<Argument>,
        writer: Writer,
    ) -> Running<'a> {
        let call = Call { store, function, arguments, writer };
        match self {
            Self::Takes(params, result) => call_with_bytes(params, result, call),
            Self::Gives(params, result) => call_without_bytes(params, result, call),
        }
    }
}

/// Makes a function that finds the first list of parameters that fits, and one that calls by its
/// position.
macro_rules! parameters {
    ($find:ident, $call:ident, $next:ident: $($params:ty,)*) => {
        fn $find(params: &[Field]) -> Option<usize> {
            [$(<$params as Parameters>::fit),*].iter().position(|fit| fit(params))
        }

        fn $call<T: Send + 'static>(at: usize, result: usize, call: Call<'_, T>) -> Running<'_> {
            let calls: &[fn(usize, Call<'_, T>) -> Running<'_>] = &[$($next::<T, $params>),*];
            calls[at](result, call)
        }
    };
}

/// The same for results.
macro_rules! results {
    ($find:ident, $call:ident: $($result:ty,)*) => {
        fn $find(result: Option<&Type>) -> Option<usize> {
            [$(<$result as Returned>::fits),*].iter().position(|fits| fits(result))
        }

        fn $call<T: Send + 'static, P: Parameters>(at: usize, call: Call<'_, T>) -> Running<'_> {
            let calls: &[fn(Call<'_, T>) -> Running<'_>] = &[$(run::<T, P, $result>),*];
            calls[at](call)
        }
    };
}

parameters! { with_bytes, call_with_bytes, call_any:
    (Bytes,),
    (Bytes, Bytes),
    (Bytes, String),
    (String, Bytes),
    (Bytes, u32),
    (Bytes, u64),
    (u32, Bytes),
    (u64, Bytes),
    (Bytes, Bytes, Bytes),
    (Bytes, u32, u32),
    (Bytes, u64, u64),
    (String, String, Bytes),
}
parameters! { without_bytes, call_without_bytes, call_of_bytes:
    (),
    (String,),
    (u32,),
    (u64,),
    (String, String),
    (String, u32),
    (String, u64),
    (u64, u64),
    (String, u64, u64),
}
results! { any, call_any:
    (),
    (Bytes,),
    (String,),
    (bool,),
    (u32,),
    (u64,),
    (Result<Bytes, String>,),
    (Result<String, String>,),
    (Result<u32, String>,),
    (Result<u64, String>,),
    (Result<(), String>,),
    (Option<Bytes>,),
}
results! { of_bytes, call_of_bytes:
    (Bytes,),
    (Result<Bytes, String>,),
    (Result<Option<Bytes>, String>,),
    (Option<Bytes>,),
}

/// One call under way.
struct Call<'a, T: 'static> {
    store: StoreContextMut<'a, T>,
    function: Func,
    arguments: Vec<Argument>,
    writer: Writer,
}

fn run<T: Send + 'static, P: Parameters, R: Returned>(call: Call<'_, T>) -> Running<'_> {
    Box::pin(async move {
        let Call { mut store, function, arguments, writer } = call;
        let params = P::take(arguments).ok_or_else(foreign)?;
        let typed = function.typed::<P, R>(&store).map_err(CallError::Guest)?;
        let result = typed.call_async(&mut store, params).await.map_err(CallError::Guest)?;
        Ok(result.answer(writer)?)
    })
}

fn foreign() -> CallError {
    CallError::Guest(wasmtime::format_err!("the arguments were prepared for another method"))
}

/// A list of parameters.
trait Parameters: ComponentNamedList + Lower + Send + Sized + 'static {
    fn fit(params: &[Field]) -> bool;
    /// `None` when the arguments were read for other types.
    fn take(arguments: Vec<Argument>) -> Option<Self>;
}

macro_rules! parameter_tuples {
    ($(($($name:ident),*))*) => {$(
        impl<$($name: Parameter),*> Parameters for ($($name,)*) {
            fn fit(params: &[Field]) -> bool {
                let fits: &[fn(&Type) -> bool] = &[$($name::fits),*];
                fits.len() == params.len() && fits.iter().zip(params).all(|(fits, p)| fits(&p.ty))
            }

            fn take(arguments: Vec<Argument>) -> Option<Self> {
                let mut arguments = arguments.into_iter();
                let taken = ($($name::take(arguments.next()?)?,)*);
                arguments.next().is_none().then_some(taken)
            }
        }
    )*};
}
parameter_tuples! { () (A) (A, B) (A, B, C) }

/// One parameter.
trait Parameter: wasmtime::component::ComponentType + Lower + Send + Sized + 'static {
    fn fits(ty: &Type) -> bool;
    fn take(argument: Argument) -> Option<Self>;
}

macro_rules! scalar_parameters {
    ($($rust:ty: $wit:ident as $value:ident,)*) => {$(
        impl Parameter for $rust {
            fn fits(ty: &Type) -> bool {
                *ty == Type::$wit
            }

            fn take(argument: Argument) -> Option<Self> {
                match argument {
                    Argument::Val(Val::$value(value)) => Some(value),
                    _ => None,
                }
            }
        }
    )*};
}
scalar_parameters! { u32: U32 as U32, u64: U64 as U64, String: String as String, }

impl Parameter for Bytes {
    fn fits(ty: &Type) -> bool {
        is_bytes(ty)
    }

    fn take(argument: Argument) -> Option<Self> {
        match argument {
            Argument::Bytes(bytes) => Some(bytes),
            Argument::Val(_) => None,
        }
    }
}

/// What a function returns, as wasmtime wants it: a tuple of one, or of none.
trait Returned: ComponentNamedList + Lift + Send + 'static {
    fn fits(result: Option<&Type>) -> bool;
    fn answer(self, writer: Writer) -> Result<Answer, WriteError>;
}

impl Returned for () {
    fn fits(result: Option<&Type>) -> bool {
        result.is_none()
    }

    fn answer(self, mut writer: Writer) -> Result<Answer, WriteError> {
        writer.null()?;
        Ok(Answer::Ok(writer.finish()))
    }
}

impl<A: Output> Returned for (A,) {
    fn fits(result: Option<&Type>) -> bool {
        result.is_some_and(A::fits)
    }

    fn answer(self, mut writer: Writer) -> Result<Answer, WriteError> {
        self.0.write(&mut writer)?;
        Ok(Answer::Ok(writer.finish()))
    }
}

/// A result.
trait Output: wasmtime::component::ComponentType + Lift + Send + Sized + 'static {
    fn fits(ty: &Type) -> bool;
    fn write(&self, writer: &mut Writer) -> Result<(), WriteError>;
}

macro_rules! plain_outputs {
    ($($rust:ty: $fits:expr, $write:expr;)*) => {$(
        impl Output for $rust {
            fn fits(ty: &Type) -> bool {
                $fits(ty)
            }

            fn write(&self, writer: &mut Writer) -> Result<(), WriteError> {
                $write(writer, self)
            }
        }
    )*};
}
plain_outputs! {
    Bytes: is_bytes, |writer: &mut Writer, bytes: &Bytes| writer.bytes(bytes);
    String: |ty: &Type| *ty == Type::String, |writer: &mut Writer, text: &String| writer.text(text);
    bool: |ty: &Type| *ty == Type::Bool, |writer: &mut Writer, value: &bool| writer.show(value);
    u32: |ty: &Type| *ty == Type::U32, |writer: &mut Writer, value: &u32| writer.show(value);
    u64: |ty: &Type| *ty == Type::U64, |writer: &mut Writer, value: &u64| writer.wide((*value).into());
}

impl Output for Option<Bytes> {
    fn fits(ty: &Type) -> bool {
        matches!(ty, Type::Option(item) if is_bytes(item))
    }

    fn write(&self, writer: &mut Writer) -> Result<(), WriteError> {
        match self {
            Some(bytes) => writer.bytes(bytes),
            None => writer.null(),
        }
    }
}

/// One side of a result: a type, or nothing.
trait Side: wasmtime::component::ComponentType + Lift + Send + 'static {
    fn fits_side(ty: Option<&Type>) -> bool;
    fn write_side(&self, writer: &mut Writer) -> Result<(), WriteError>;
}

impl Side for () {
    fn fits_side(ty: Option<&Type>) -> bool {
        ty.is_none()
    }

    fn write_side(&self, writer: &mut Writer) -> Result<(), WriteError> {
        writer.null()
    }
}

impl<A: Output> Side for A {
    fn fits_side(ty: Option<&Type>) -> bool {
        ty.is_some_and(A::fits)
    }

    fn write_side(&self, writer: &mut Writer) -> Result<(), WriteError> {
        self.write(writer)
    }
}

impl<A: Side, E: Side> Returned for (Result<A, E>,) {
    fn fits(result: Option<&Type>) -> bool {
        match result {
            Some(Type::Result { ok, err }) => {
                A::fits_side(ok.as_deref()) && E::fits_side(err.as_deref())
            }
            _ => false,
        }
    }

    fn answer(self, mut writer: Writer) -> Result<Answer, WriteError> {
        match self.0 {
            Ok(value) => value.write_side(&mut writer)?,
            Err(error) => {
                error.write_side(&mut writer)?;
                return Ok(Answer::Application(writer.finish()));
            }
        }
        Ok(Answer::Ok(writer.finish()))
    }
}

fn is_bytes(ty: &Type) -> bool {
    matches!(ty, Type::List(item) if **item == Type::U8)
}
