//! Components that are made for a measurement: any size, any number of different ones.

use std::fmt::Write as _;

use anyhow::Result;

use crate::random::Random;

/// A component whose functions `version` gives `number` and `ping` gives 1, of about `size` bytes
/// of code that is different for every number, so that no cache of an other one helps.
pub(crate) fn versioned(number: u32, size: usize) -> Result<Vec<u8>> {
    let mut random = Random::new(number.into());
    let mut functions = String::new();
    for index in 0..size / BYTES_PER_FUNCTION {
        push_function(&mut functions, index, &mut random)?;
    }
    Ok(wat::parse_str(format!(
        r#"(component
            (core module $m
                (memory 1)
                {functions}
                (func (export "version") (result i32) (i32.const {number}))
                (func (export "ping") (result i32) (i32.const 1)))
            (core instance $i (instantiate $m))
            (func (export "version") (result u32) (canon lift (core func $i "version")))
            (func (export "ping") (result u32) (canon lift (core func $i "ping"))))"#
    ))?)
}

/// A component whose function `add` is asynchronous, and answers at once.
pub(crate) fn async_add() -> Result<Vec<u8>> {
    Ok(wat::parse_str(
        r#"(component
            (core module $m
                (import "" "return" (func $return (param i32)))
                (func (export "add") (param i32 i32) (result i32)
                    (call $return (i32.add (local.get 0) (local.get 1)))
                    (i32.const 0))
                (func (export "never") (param i32 i32 i32) (result i32) unreachable))
            (core func $return (canon task.return (result u32)))
            (core instance $i (instantiate $m (with "" (instance
                (export "return" (func $return))))))
            (func (export "add") async (param "a" u32) (param "b" u32) (result u32)
                (canon lift (core func $i "add") async (callback (core func $i "never")))))"#,
    )?)
}

/// What compilers make, roughly: arithmetic, loads and stores, a loop, a branch, a call.
fn push_function(text: &mut String, index: usize, random: &mut Random) -> Result<()> {
    write!(
        text,
        r#"(func $f{index} (export "f{index}") (param i32 i64) (result i32) (local i32)"#
    )?;
    for _ in 0..6 {
        let (a, b, c) = (random.below(1 << 30), random.below(60_000), random.below(1 << 20));
        write!(
            text,
            "(local.set 2 (i32.xor (i32.mul (local.get 0) (i32.const {a})) (i32.load (i32.const {b}))))
             (i32.store (i32.const {c}) (i32.add (local.get 2) (i32.wrap_i64 (local.get 1))))
             (if (i32.gt_u (local.get 2) (i32.const {b}))
                (then (local.set 1 (i64.rotl (local.get 1) (i64.const {c}))))
                (else (local.set 0 (i32.shr_u (local.get 0) (i32.const 1)))))"
        )?;
    }
    write!(
        text,
        "(loop $again
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $again (i32.gt_s (local.get 0) (local.get 2))))"
    )?;
    if index > 0 {
        let called = random.below(u32::try_from(index)?);
        write!(text, "(drop (call $f{called} (local.get 2) (local.get 1)))")?;
    }
    text.push_str("(local.get 2))");
    Ok(())
}

/// What one function takes in the binary, with its export.
const BYTES_PER_FUNCTION: usize = 395;

/// A component around a core module, with `ping` beside it.
pub(crate) fn around(module: &str) -> Result<Vec<u8>> {
    Ok(wat::parse_str(format!(
        r#"(component
            (core module $m {module} (func (export "ping") (result i32) (i32.const 1)))
            (core instance $i (instantiate $m))
            (func (export "ping") (result u32) (canon lift (core func $i "ping"))))"#
    ))?)
}

/// `bytes` with a custom section that holds `mark`: another file, the same plugin.
pub(crate) fn marked(bytes: &[u8], mark: u32) -> Vec<u8> {
    let mark = mark.to_le_bytes();
    [bytes, &[0, 9, 4], b"mark", &mark].concat()
}
