//! Sizes and durations as people write them: `64 MiB`, `250 ms`.

use std::time::Duration;

/// Reads a duration greater than nothing: `500ms`, `2 s`, `1.5m`, `1h`.
///
/// # Errors
/// Text for people that says how to write one.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text, HOW_LONG)?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{} is no unit of time; {HOW_LONG}", quoted(unit))),
    };
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        _ => Err(format!("{} is not between 1ms and what fits; {HOW_LONG}", quoted(text))),
    }
}

/// Reads a number of bytes: `512 KiB`, `64MiB`, `1.5 GiB`, `10 MB`, `100 B`.
///
/// # Errors
/// Text for people that says how to write one.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text, HOW_LARGE)?;
    let (_, bytes) = SIZES
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| format!("{} is no unit of size; {HOW_LARGE}", quoted(unit)))?;
    // Above 2^53 the product is not exact, and above every range that a limit has.
    let size = number * bytes;
    if !(0.0..=9e15).contains(&size) || size.fract() != 0.0 {
        return Err(format!("{} is no whole number of bytes; {HOW_LARGE}", quoted(text)));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(size as u64)
}

fn number_and_unit<'t>(text: &'t str, how: &str) -> Result<(f64, &'t str), String> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or_else(|| format!("{} has no unit; {how}", quoted(text)))?;
    let (number, unit) = text.split_at(unit_at);
    let number = number.trim();
    let number = number.parse().map_err(|_| format!("{} is no number; {how}", quoted(number)))?;
    Ok((number, unit.trim_end()))
}

/// What somebody wrote, in quotes, and no more of it than shows what is meant.
pub fn quoted(text: &str) -> String {
    let start: String = text.chars().take(MAX_QUOTED).collect();
    let mut shown = format!("{start:?}");
    if start.len() < text.len() || shown.len() > MAX_QUOTED {
        shown.truncate(shown.floor_char_boundary(MAX_QUOTED));
        shown.push_str("…\"");
    }
    shown
}

/// `bytes` in the largest unit that needs no fraction.
pub fn show_size(bytes: u64) -> String {
    let binary = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match binary.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{} {unit}", bytes / size),
        None => format!("{bytes} B"),
    }
}

/// `duration` in the largest unit that needs no fraction.
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match [("h", 3_600_000), ("min", 60_000), ("s", 1000)]
        .iter()
        .find(|(_, size)| ms >= *size && ms.is_multiple_of(*size))
    {
        Some((unit, size)) => format!("{} {unit}", ms / size),
        None => format!("{ms} ms"),
    }
}

const SIZES: [(&str, f64); 7] = [
    ("B", 1.0),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
];

/// Bytes of a text that are shown of it.
const MAX_QUOTED: usize = 200;

const HOW_LONG: &str = "write 500ms, 2s or 1m";
const HOW_LARGE: &str = "write 512 KiB, 64 MiB or 1 GiB";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_write_durations_with_a_unit() {
        let all = [("500ms", 500), ("2s", 2000), ("1.5s", 1500), ("1m", 60_000), ("250 ms", 250)];
        for (text, ms) in all {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_duration_that_is_none_is_told_how_to_write_one() {
        for text in ["", "2", "0s", "-1s", "2 weeks", "s", "NaNs", "1e300s", "2ss"] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains("500ms"), "{text}: {error}");
        }
    }

    #[test]
    fn people_write_sizes_with_a_unit() {
        for (text, bytes) in
            [("64 MiB", 64 << 20), ("1.5KiB", 1536), ("10 MB", 10_000_000), ("7 B", 7), ("0 B", 0)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "64", "64 M", "-1 MiB", "0.3 B", "inf B", "9999999999 GiB", "x KiB"] {
            let error = parse_size(text).unwrap_err();
            assert!(error.contains("64 MiB"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes in 0_u64..1 << 50, ms in 1_u64..1 << 40) {
            prop_assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
            // Seconds as a fraction lose what a double cannot hold, never a millisecond.
            let back = parse_duration(&show_duration(Duration::from_millis(ms))).unwrap();
            let ms = i128::from(ms);
            prop_assert!((i128::try_from(back.as_millis()).unwrap() - ms).abs() <= 1);
        }
    }
}
