//! Durations as Go writes them, which is how CoreDNS logs them.

use std::time::Duration;

/// `1h0m0s`, `5m0s`, `1.5s`, `250ms`.
pub fn duration_text(duration: Duration) -> String {
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    let seconds = Duration::new(seconds, duration.subsec_nanos());
    match (minutes / 60, minutes % 60) {
        (0, 0) if duration.is_zero() => "0s".to_owned(),
        (0, 0) => format!("{duration:?}"),
        (0, minutes) => format!("{minutes}m{}s", seconds.as_secs_f64()),
        (hours, minutes) => format!("{hours}h{minutes}m{}s", seconds.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_go() {
        for (milliseconds, text) in [
            (0, "0s"),
            (250, "250ms"),
            (5_000, "5s"),
            (1_500, "1.5s"),
            (90_000, "1m30s"),
            (300_000, "5m0s"),
            (3_600_000, "1h0m0s"),
            (3_661_500, "1h1m1.5s"),
        ] {
            assert_eq!(duration_text(Duration::from_millis(milliseconds)), text);
        }
    }
}
