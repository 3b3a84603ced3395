//! Text tools: functions inside an exported interface, documented in `wit/text.wit`.
#![no_std]
extern crate alloc;

mod base64;

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use exports::demo::text::text::{Base64Error, Counts, Guest};

guest::runtime!();
guest::embed_wit!("../wit/text.wit");
wit_bindgen::generate!({ world: "text-tools", path: "wit" });
export!(Text);

struct Text;

impl Guest for Text {
    fn count(text: String) -> Counts {
        Counts {
            lines: text.lines().count() as u32,
            words: text.split_whitespace().count() as u32,
            characters: text.chars().count() as u32,
            bytes: text.len() as u32,
        }
    }

    fn words(text: String) -> Vec<String> {
        text.split_whitespace().map(Into::into).collect()
    }

    fn top_words(text: String, limit: Option<u32>) -> Vec<(String, u32)> {
        let mut counts = BTreeMap::<String, u32>::new();
        let lower = Self::lower(text);
        let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        for word in words {
            *counts.entry(word.into()).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        counts.truncate(limit.unwrap_or(DEFAULT_TOP) as usize);
        counts
    }

    fn slug(text: String) -> String {
        let lower = Self::lower(text);
        let parts = lower.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("-")
    }

    fn reverse(text: String) -> String {
        text.chars().rev().collect()
    }

    fn upper(text: String) -> String {
        text.chars().flat_map(char::to_uppercase).collect()
    }

    fn lower(text: String) -> String {
        text.chars().flat_map(char::to_lowercase).collect()
    }

    fn truncate(text: String, limit: u32, ellipsis: Option<String>) -> String {
        let Some((cut, _)) = text.char_indices().nth(limit as usize) else {
            return text;
        };
        let mut short: String = text[..cut].into();
        short.push_str(ellipsis.as_deref().unwrap_or("…"));
        short
    }

    fn first(text: String) -> Option<char> {
        text.chars().next()
    }

    fn base64_encode(data: Vec<u8>) -> String {
        base64::encode(&data)
    }

    fn base64_decode(text: String) -> Result<Vec<u8>, Base64Error> {
        base64::decode(&text)
    }

    fn crc32(data: Vec<u8>) -> u32 {
        let remainder = data.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (CRC_POLYNOMIAL & 0u32.wrapping_sub(crc & 1))
            })
        });
        !remainder
    }

    fn reverse_bytes(mut data: Vec<u8>) -> Vec<u8> {
        data.reverse();
        data
    }
}

/// As many words as fit on a screen beside other output.
const DEFAULT_TOP: u32 = 10;

/// CRC-32 of IEEE 802.3, bit-reversed.
const CRC_POLYNOMIAL: u32 = 0xEDB8_8320;
