//! Floating-point numbers in PHP's notation.
//!
//! PHP writes a float in two ways: `serialize` gives the shortest digits that read back the same,
//! the string cast gives 14 significant digits. Text read from a database is kept as it was written.

/// A float as PHP writes it; made from a number or by the reader, so it holds nothing but a number.
#[derive(Debug, Clone)]
pub struct Float(String);

impl PartialEq for Float {
    /// One number written in two ways is equal; so, unlike in PHP, is `NAN` to itself.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.number() == other.number()
    }
}

impl Float {
    pub(super) fn shortest(number: f64) -> Self {
        Self(notation(number, &even(number, format!("{number:e}")), 17))
    }

    /// Takes the text between `d:` and `;` when PHP would read it as a float.
    pub(super) fn from_written(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let plain = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
            && text.parse::<f64>().is_ok();
        (plain || matches!(text, "INF" | "-INF" | "NAN")).then(|| Self(text.to_owned()))
    }

    /// The number itself.
    pub fn number(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// The notation inside serialized text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// PHP's string cast: 14 significant digits, as a bare float is stored in user meta.
    pub(super) fn cast(&self) -> String {
        let number = self.number();
        notation(number, &format!("{number:.13e}"), 14)
    }
}

/// Of two shortest forms that are equally near the number, PHP takes the one whose last digit is even, Rust the larger.
fn even(number: f64, scientific: String) -> String {
    let Some((mantissa, _)) = scientific.split_once('e') else {
        return scientific;
    };
    let places = mantissa.bytes().filter(u8::is_ascii_digit).count() - 1;
    // Rounding to that many places ties to even, and all the digits behind show whether this was a tie.
    let tied = format!("{number:.places$e}");
    let same = tied
        .parse::<f64>()
        .is_ok_and(|tied| tied.to_bits() == number.to_bits());
    if same { tied } else { scientific }
}

/// Writes digits in PHP's `%G` style; `scientific` is Rust's `d.ddde±x` form of the same number.
fn notation(number: f64, scientific: &str, precision: i32) -> String {
    if number.is_nan() {
        return "NAN".to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_infinite() {
        return format!("{sign}INF");
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        kept => kept,
    };
    if exponent < -4 || exponent >= precision {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        return format!("{sign}{first}.{rest}E{exponent:+}");
    }
    let Ok(before_point) = usize::try_from(exponent + 1) else {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    };
    if before_point == 0 {
        return format!("{sign}0.{digits}");
    }
    match digits.split_at_checked(before_point) {
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{digits:0<before_point$}"),
    }
}
