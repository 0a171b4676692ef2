//! Text in a chart: escaped, cut and wrapped.

/// Largest number of characters that a chart shows of a symbol, a zone or a bucket's name.
const MAX_NAME: usize = 40;

/// `text` as character data or as value of an attribute. What XML forbids becomes U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A name that others chose: cut to 40 characters, without the controls that reorder the text around them. One that is not
/// ASCII is isolated, so that a name written from right to left stays in its place.
pub(crate) fn name(text: &str) -> String {
    let reorders = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let mut out: String = text.chars().take(MAX_NAME).map(|c| if reorders(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_NAME).is_some() {
        out.push('…');
    }
    if out.is_ascii() { out } else { format!("\u{2068}{out}\u{2069}") }
}

/// Width of `text` in units of its size, guessed for a wide typeface: a chart can't measure.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let of = |c: char| match c {
        '\u{2066}'..='\u{2069}' => 0.0,
        ' ' | '.' | ',' | ':' | ';' | '|' | '\'' | 'i' | 'l' | 'j' => 0.35,
        'm' | 'w' | 'M' | 'W' => 0.95,
        'A'..='Z' => 0.7,
        c if c.is_ascii() || matches!(c, '−' | '·' | '×' | '–') => 0.63,
        _ => 1.0,
    };
    text.chars().map(of).sum::<f64>() * size
}

/// `text` in lines of at most `room` units where it has spaces to break at; a longer word is broken anywhere.
pub(crate) fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if width(&joined, size) <= room {
            line = joined;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if width(&line, size) + width(c.encode_utf8(&mut [0; 4]), size) > room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// `text` cut to `room` units, with `…` where something is missing.
pub(crate) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if width(&out, size) + width(c.encode_utf8(&mut [0; 4]), size) + size > room {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_break_out_is_escaped() {
        assert_eq!(escape("a<b>&\"'\u{0}\u{1b}\n"), "a&lt;b&gt;&amp;&quot;&#39;\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_name_can_not_reorder_its_neighbours() {
        assert_eq!(name("BTC\u{202e}USDT"), "\u{2068}BTC\u{fffd}USDT\u{2069}");
        assert_eq!(name("BTCUSDT"), "BTCUSDT");
        assert_eq!(name(&"x".repeat(50)), format!("\u{2068}{}…\u{2069}", "x".repeat(40)));
    }

    #[test]
    fn lines_keep_within_their_room() {
        let text = format!("short words and {} then more", "x".repeat(200));
        for line in wrap(&text, 17.0, 300.0) {
            assert!(width(&line, 17.0) <= 300.0, "{line}");
        }
        assert!(wrap("  ", 17.0, 300.0).is_empty());
    }
}
