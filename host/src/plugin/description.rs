//! How much the description of a plugin's methods may take.

use jackfield_wire::reflect::MethodInfo;

use super::docs::Documentation;

/// A plugin's methods as they are described, while they are collected.
pub(super) struct Description<'a> {
    pub(super) docs: &'a Documentation,
    /// Bytes of JSON that it may still take.
    room: usize,
}

impl<'a> Description<'a> {
    pub(super) fn new(docs: &'a Documentation) -> Self {
        Self { docs, room: MAX_DESCRIPTION }
    }

    /// Whether there is room for one more method; takes it if so.
    pub(super) fn takes(&mut self, info: &MethodInfo) -> bool {
        let mut trial = Room(self.room);
        let fits = serde_json::to_writer(&mut trial, info).is_ok();
        if fits {
            self.room = trial.0;
        }
        fits
    }
}

/// Takes bytes as long as there is room, and keeps none.
struct Room(usize);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Bytes of JSON that describe a plugin's methods. In a binary types share their parts, so a small
/// file can have a description of some hundred megabytes; this fits an answer, with room for what is
/// refused.
pub(super) const MAX_DESCRIPTION: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::ty::Signature;

    #[test]
    fn a_description_takes_methods_until_it_is_full_and_goes_on_with_shorter_ones() {
        let method = |wit: usize| MethodInfo {
            name: "f".into(),
            qualified: "f".into(),
            signature: Signature { params: vec![], result: None },
            wit: "x".repeat(wit),
            params_schema: serde_json::Value::Null,
            result_schema: None,
            docs: None,
            hidden: false,
        };
        let docs = Documentation::default();
        let mut description = Description { docs: &docs, room: 2000 };
        assert!(description.takes(&method(1000)));
        assert!(!description.takes(&method(1000)));
        assert!(description.takes(&method(100)));
        assert!(description.room < 900);
    }
}
