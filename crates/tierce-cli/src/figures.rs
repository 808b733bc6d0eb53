//! Numbers as people read them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number with three significant digits or so: `0.04`, `3.1`, `42`, `1,234`.
pub(crate) fn decimal(number: f64) -> String {
    match number {
        n if n >= 99.95 => count(n.round() as u64),
        n if n >= 0.95 => format!("{n:.1}"),
        0.0 => "0".to_owned(),
        n if n >= 0.095 => format!("{n:.2}"),
        n => format!("{n:.3}"),
    }
}

/// `1.53 µs`, `12.3 ms`, `2.10 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    let (number, unit) = match nanos {
        n if n < 1e3 => return format!("{n:.0} ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    match number {
        n if n < 10.0 => format!("{n:.2} {unit}"),
        n if n < 100.0 => format!("{n:.1} {unit}"),
        n => format!("{n:.0} {unit}"),
    }
}

/// `1.4 MB`, in decimal units.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        n if n < 1e3 => format!("{n:.0} B"),
        n if n < 1e6 => format!("{:.1} kB", n / 1e3),
        n => format!("{:.1} MB", n / 1e6),
    }
}

/// How much smaller `now` is than `before`, in percent, cut off rather than rounded so that 100 % means all of it.
pub(crate) fn drop_percent(before: f64, now: f64) -> String {
    if before <= 0.0 {
        return "-".to_owned();
    }
    let drop = (1.0 - now / before) * 100.0;
    // Two decimals where one would hide the difference between 99.9 and 99.99.
    let scale = if drop > 99.0 { 100.0 } else { 10.0 };
    let cut = (drop * scale).floor() / scale;
    if scale > 10.0 { format!("{cut:.2} %") } else { format!("{cut:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(duration(Duration::from_nanos(240)), "240 ns");
        assert_eq!(duration(Duration::from_nanos(1_534)), "1.53 µs");
        assert_eq!(duration(Duration::from_micros(12_340)), "12.3 ms");
        assert_eq!(bytes(1_400_000), "1.4 MB");
        assert_eq!(decimal(0.04), "0.040");
        assert_eq!(decimal(1000.0), "1,000");
        assert_eq!(drop_percent(1000.0, 33.0), "96.7 %");
        assert_eq!(drop_percent(1000.0, 0.01), "99.99 %");
        assert_eq!(drop_percent(1000.0, 0.0), "100.00 %");
        assert_eq!(drop_percent(0.0, 0.0), "-");
    }
}
