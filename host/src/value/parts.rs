//! The mapping alone, for `benches/parts.rs`.

use jackfield_wire::Type;
use jackfield_wire::ty::{Field, Signature};

use super::arguments::{Argument, ArgumentReader};
use super::write::Writer;

/// Reads an argument of type `ty` from a JSON array of one, and writes it as a result; the length of
/// what it wrote. Bytes are read as a typed shape has them.
///
/// # Panics
/// When the argument is not of that type.
pub(crate) fn there_and_back(ty: &Type, arguments: &'static str) -> impl FnMut() -> usize + use<> {
    let param = Field { name: "value".into(), ty: ty.clone() };
    let (ty, signature) = (ty.clone(), Signature { params: vec![param], result: None });
    move || {
        let reader = ArgumentReader { name: "part", signature: &signature, plain_bytes: true };
        let read = reader.read(Some(arguments.as_bytes()), None).expect("it is of that type");
        let mut writer = Writer::new(1 << 20);
        for argument in read {
            match argument {
                Argument::Val(value) => writer.value(&ty, &value),
                Argument::Bytes(bytes) => writer.bytes(&bytes),
            }
            .expect("there is room");
        }
        writer.finish().len()
    }
}
