//! Durations as people read them; `jackfield_wire::units::parse_duration` reads what they write.

use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_duration_has_the_unit_that_suits_it() {
        assert_eq!(show(Duration::from_micros(870)), "870 µs");
        assert_eq!(show(Duration::from_micros(4_210)), "4.2 ms");
        assert_eq!(show(Duration::from_millis(1_340)), "1.3 s");
    }
}
