//! Tells what a file is before anything is compiled, and finds custom sections in it.
//!
//! It reads untrusted bytes: it never panics, never recurses deeper than a bound, and copies
//! nothing but what it is asked for.

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Component,
    CoreModule,
    /// Native code, such as wasmtime's own precompiled form. It is never loaded from a file that
    /// others may write.
    Precompiled,
    Empty,
    Other,
}

pub(super) fn kind(bytes: &[u8]) -> Kind {
    if bytes.is_empty() {
        return Kind::Empty;
    }
    if bytes.starts_with(b"\x7fELF") {
        return Kind::Precompiled;
    }
    if !bytes.starts_with(b"\0asm") {
        return Kind::Other;
    }
    match bytes.get(6..8) {
        Some([0, 0]) => Kind::CoreModule,
        _ => Kind::Component,
    }
}

/// The contents of all custom sections called `name`, in the file itself and in the modules and
/// components inside it.
pub(super) fn custom_sections<'a>(bytes: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let mut found = Vec::new();
    walk(bytes, name, MAX_DEPTH, &mut found);
    found
}

fn walk<'a>(bytes: &'a [u8], name: &str, depth: usize, found: &mut Vec<&'a [u8]>) {
    let component = kind(bytes) == Kind::Component;
    let Some(mut rest) = bytes.get(HEADER..).filter(|_| depth > 0) else { return };
    while let Some((id, payload, after)) = section(rest) {
        rest = after;
        match id {
            CUSTOM => {
                if let Some((section_name, content)) = sized(payload)
                    && section_name == name.as_bytes()
                    && found.len() < MAX_SECTIONS
                {
                    found.push(content);
                }
            }
            CORE_MODULE | COMPONENT if component => walk(payload, name, depth - 1, found),
            _ => {}
        }
    }
}

/// Puts a custom section called `name` at the end of a component; leaves anything else as it is.
pub(super) fn append_custom_section(component: &mut Vec<u8>, name: &str, content: &[u8]) {
    if kind(component) != Kind::Component {
        return;
    }
    let mut payload = length(name.len());
    payload.extend_from_slice(name.as_bytes());
    payload.extend_from_slice(content);
    component.push(CUSTOM);
    component.extend(length(payload.len()));
    component.extend(payload);
}

/// A length in LEB128.
fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits fit");
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

/// Whether components lie in components in more than [`MAX_NESTING`] levels.
pub(super) fn nests_too_deep(bytes: &[u8]) -> bool {
    deeper_than(bytes, MAX_NESTING)
}

fn deeper_than(bytes: &[u8], levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return true };
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    while let Some((id, payload, after)) = section(rest) {
        rest = after;
        if id == COMPONENT && deeper_than(payload, levels) {
            return true;
        }
    }
    false
}

/// Cuts one section off: its id, its payload, what follows.
fn section(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&id, rest) = bytes.split_first()?;
    let (payload, after) = sized(rest)?;
    Some((id, payload, after))
}

/// Cuts off as many bytes as a length in front of them says.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(MAX_LENGTH_BYTES) {
        len |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let len = usize::try_from(len).ok()?;
            return bytes[index + 1..].split_at_checked(len);
        }
    }
    None
}

/// Magic number and version.
const HEADER: usize = 8;

const CUSTOM: u8 = 0;
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// A 32-bit length in LEB128.
const MAX_LENGTH_BYTES: usize = 5;

/// Components in components: what tools make has three levels.
const MAX_DEPTH: usize = 8;

/// Levels that are compiled. Compositions of compositions have some ten; the time and memory that
/// wasmtime takes grow with the square: 280 KB in 20,000 levels hold it for 25 seconds.
pub(super) const MAX_NESTING: usize = 64;

/// Sections of one name. A file with more has them for no good reason.
const MAX_SECTIONS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_bytes_tell_components_modules_and_native_code_apart() {
        let module = wat::parse_str("(module)").unwrap();
        let component = wat::parse_str("(component)").unwrap();
        assert_eq!(kind(&module), Kind::CoreModule);
        assert_eq!(kind(&component), Kind::Component);
        assert_eq!(kind(b"\x7fELF\x02"), Kind::Precompiled);
        assert_eq!(kind(b""), Kind::Empty);
        assert_eq!(kind(b"GIF89a"), Kind::Other);
    }

    #[test]
    fn a_section_inside_a_core_module_is_found() {
        let text = r#"(component
            (core module (@custom "note" "inner"))
            (@custom "note" "outer"))"#;
        let bytes = wat::parse_str(text).unwrap();
        let found = custom_sections(&bytes, "note");
        assert_eq!(found, [b"inner", b"outer"]);
        assert!(custom_sections(&bytes, "other").is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_walk_panic(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
            bytes.extend(tail);
            custom_sections(&bytes, "note");
            kind(&bytes);
        }
    }
}
