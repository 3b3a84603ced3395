//! Durations as people write them: `500ms`, `2s`, `1.5m`.

use std::time::Duration;

/// Reads a duration greater than nothing.
///
/// # Errors
/// Text for people that says how to write one.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or_else(|| format!("{text:?} has no unit; {HOW}"))?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is no unit of time; {HOW}")),
    };
    let number: f64 =
        number.trim().parse().map_err(|_| format!("{number:?} is no number; {HOW}"))?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        _ => Err(format!("{text:?} is not between 1ms and what fits; {HOW}")),
    }
}

/// A duration in the unit that suits it: `870 µs`, `4.2 ms`, `1.3 s`.
pub(crate) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.001 {
        format!("{} µs", duration.as_micros())
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

const HOW: &str = "write 500ms, 2s or 1m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_durations_with_a_unit() {
        for (text, ms) in [("500ms", 500), ("2s", 2000), ("1.5s", 1500), ("1m", 60_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_told_how_to_write_one() {
        for text in ["", "2", "0s", "-1s", "2 weeks", "s", "NaNs", "1e300s", "2ss"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("500ms"), "{text}: {error}");
        }
    }

    #[test]
    fn a_shown_duration_has_the_unit_that_suits_it() {
        assert_eq!(show(Duration::from_micros(870)), "870 µs");
        assert_eq!(show(Duration::from_micros(4_210)), "4.2 ms");
        assert_eq!(show(Duration::from_millis(1_340)), "1.3 s");
    }
}
