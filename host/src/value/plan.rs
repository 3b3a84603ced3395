//! What a host prepares for a method when its component is loaded, and how it calls it.

use jackfield_wire::Type;
use jackfield_wire::ty::Signature;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{Accessor, Func, Val};
use wasmtime::{AsContextMut, StoreContextMut};

use super::arguments::{Argument, ArgumentError, ArgumentReader};
use super::typed::Shape;
use super::types::{self, TypeNames, Unsupported};
use super::write::{WriteError, Writer};

/// How one method is called: everything of its type that a call needs.
#[derive(Debug)]
pub(crate) struct MethodPlan {
    name: String,
    signature: Signature,
    shape: Option<Shape>,
}

/// Arguments that fit a method, checked before anything is instantiated.
///
/// They belong to the plan that made them: another plan's call refuses them.
#[derive(Debug)]
pub(crate) struct Prepared(Vec<Argument>);

/// What a method returned, as JSON text; `null` when it returns nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The result, or what the `ok` side of a `result` carries.
    Ok(Vec<u8>),
    /// What the `err` side of a `result` carries.
    Application(Vec<u8>),
}

/// Why a call gave no answer. Either way its store is not to be used again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The guest trapped, or was stopped, or wasmtime failed.
    #[error(transparent)]
    Guest(wasmtime::Error),
    /// The guest returned something that cannot be told.
    #[error(transparent)]
    Result(#[from] WriteError),
}

impl MethodPlan {
    /// Prepares calls of `function`, which the component exports as `name`: at its root, or in
    /// `interface`.
    ///
    /// # Errors
    /// When one of its types cannot travel; the text says which.
    pub(crate) fn new(
        name: &str,
        function: &ComponentFunc,
        interface: Option<&str>,
        names: &TypeNames,
    ) -> Result<Self, Unsupported> {
        let signature = types::signature(function, interface, names)?;
        let shape = Shape::of(&signature);
        Ok(Self { name: name.to_owned(), signature, shape })
    }

    /// What the method takes and gives.
    pub(crate) fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Whether `list<u8>` travels whole, by a typed shape.
    #[cfg(test)]
    pub(super) fn is_typed(&self) -> bool {
        self.shape.is_some()
    }

    /// The same plan without its typed shape.
    #[cfg(test)]
    pub(super) fn through_val(mut self) -> Self {
        self.shape = None;
        self
    }

    /// Checks the arguments of a call: a JSON array, a JSON object, or both.
    ///
    /// # Errors
    /// When they do not fit. The text says where and what was expected, in one line.
    pub(crate) fn prepare(
        &self,
        positional: Option<&[u8]>,
        named: Option<&[u8]>,
    ) -> Result<Prepared, ArgumentError> {
        let reader = ArgumentReader {
            name: &self.name,
            signature: &self.signature,
            plain_bytes: self.shape.is_some(),
        };
        reader.read(positional, named).map(Prepared)
    }

    /// Calls `function`, which has to be an instance of the function that this plan was made of,
    /// and writes its result as at most `limit` bytes of JSON.
    ///
    /// # Errors
    /// When the guest gives no result, or one that passes the limit.
    ///
    /// # Cancel safety
    /// A dropped call leaves its store unusable, as wasmtime says of `call_async`.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        mut store: impl AsContextMut<Data = T>,
        function: Func,
        arguments: Prepared,
        limit: usize,
    ) -> Result<Answer, CallError> {
        let store = store.as_context_mut();
        let writer = Writer::new(limit);
        match self.shape {
            Some(shape) => shape.call(store, function, arguments.0, writer).await,
            None => self.call_dynamic(store, function, arguments.0, writer).await,
        }
    }

    /// The same beside other calls of the instance. Lists of bytes go through tagged values.
    ///
    /// # Errors
    /// As [`Self::call`]; a trap ends the instance instead, and this call with it.
    ///
    /// # Cancel safety
    /// A dropped call goes on in the guest.
    pub(crate) async fn call_beside_others<T: Send + 'static>(
        &self,
        accessor: &Accessor<T>,
        function: Func,
        arguments: Prepared,
        limit: usize,
    ) -> Result<Answer, CallError> {
        let params: Vec<Val> = arguments.0.into_iter().map(Argument::into_val).collect();
        let mut results = vec![Val::Bool(false); usize::from(self.signature.result.is_some())];
        let called = function.call_concurrent(accessor, &params, &mut results).await;
        called.map_err(CallError::Guest)?;
        Ok(self.answer(results.first(), Writer::new(limit))?)
    }

    async fn call_dynamic<T: Send>(
        &self,
        store: StoreContextMut<'_, T>,
        function: Func,
        arguments: Vec<Argument>,
        writer: Writer,
    ) -> Result<Answer, CallError> {
        let params: Vec<Val> = arguments.into_iter().map(Argument::into_val).collect();
        let mut results = vec![Val::Bool(false); usize::from(self.signature.result.is_some())];
        let called = function.call_async(store, &params, &mut results).await;
        called.map_err(CallError::Guest)?;
        Ok(self.answer(results.first(), writer)?)
    }

    fn answer(&self, result: Option<&Val>, mut writer: Writer) -> Result<Answer, WriteError> {
        let (ty, value) = match (&self.signature.result, result) {
            (Some(Type::Result { ok, .. }), Some(Val::Result(Ok(value)))) => {
                (ok.as_deref(), value.as_deref())
            }
            (Some(Type::Result { err, .. }), Some(Val::Result(Err(value)))) => {
                writer.payload(err.as_deref(), value.as_deref())?;
                return Ok(Answer::Application(writer.finish()));
            }
            (ty, value) => (ty.as_ref(), value),
        };
        writer.payload(ty, value)?;
        Ok(Answer::Ok(writer.finish()))
    }
}

impl Argument {
    fn into_val(self) -> Val {
        match self {
            Self::Val(value) => value,
            Self::Bytes(bytes) => Val::List(bytes.into_iter().map(Val::U8).collect()),
        }
    }
}
