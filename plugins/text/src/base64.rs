//! Base64 after RFC 4648, section 4. Strict about characters, lenient about missing padding.

use crate::exports::demo::text::text::{BadCharacter, Base64Error};
use alloc::{string::String, vec::Vec};

/// Encodes with padding.
pub fn encode(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let mut group = [0u8; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { ALPHABET[digit as usize] as char } else { '=' });
        }
    }
    text
}

/// Decodes a text with or without padding.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    let digits = strip_padding(text);
    if digits.len() % 4 == 1 {
        return Err(Base64Error::BadLength(digits.len() as u32));
    }
    let mut data = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0u32, 0u32);
    for (position, character) in digits.char_indices() {
        bits = bits << 6 | value(position, character)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            data.push((bits >> held) as u8);
        }
    }
    Ok(data)
}

/// Removes the one or two `=` that end a full last group.
fn strip_padding(text: &str) -> &str {
    if !text.len().is_multiple_of(4) {
        return text;
    }
    text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text)
}

fn value(position: usize, character: char) -> Result<u32, Base64Error> {
    ALPHABET
        .iter()
        .position(|letter| char::from(*letter) == character)
        .map(|value| value as u32)
        .ok_or(Base64Error::BadCharacter(BadCharacter { position: position as u32, character }))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
