//! Rust text as words and signs. Comments and lifetimes are dropped; a literal is one token, whatever stands in it.

/// What stands for every string and character.
const LITERAL: &str = "\"\"";

/// A word, a sign or a literal, and the line on which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

impl Token<'_> {
    /// Whether it is a name or a keyword.
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// What the next part of a text is.
enum Part {
    Dropped,
    Literal,
    Kept,
}

/// All tokens of `text`.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut found, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let (part, length) = next_part(rest, first);
        let (taken, after) = rest.split_at(length.min(rest.len()));
        match part {
            Part::Dropped => {}
            Part::Literal => found.push(Token { text: LITERAL, line }),
            Part::Kept => found.push(Token { text: taken, line }),
        }
        line += taken.matches('\n').count();
        rest = after;
    }
    found
}

fn next_part(text: &str, first: char) -> (Part, usize) {
    if first.is_whitespace() {
        (Part::Dropped, first.len_utf8())
    } else if text.starts_with("//") {
        (Part::Dropped, text.find('\n').unwrap_or(text.len()))
    } else if text.starts_with("/*") {
        (Part::Dropped, block_comment(text))
    } else if let Some(length) = raw_string(text) {
        (Part::Literal, length)
    } else if first == '"' {
        (Part::Literal, quoted(text, '"'))
    } else if first == '\'' {
        let mut following = text.chars().skip(1);
        match (following.next(), following.next()) {
            (Some('\\'), _) | (Some(_), Some('\'')) => (Part::Literal, quoted(text, '\'')),
            _ => (Part::Dropped, 1 + word(&text[1..])),
        }
    } else if text.starts_with("::") {
        (Part::Kept, 2)
    } else {
        (Part::Kept, word(text).max(first.len_utf8()))
    }
}

fn word(text: &str) -> usize {
    text.find(|other: char| !other.is_alphanumeric() && other != '_').unwrap_or(text.len())
}

/// Length of a comment that may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
        if depth == 0 || at == text.len() {
            return at;
        }
    }
}

/// Length of `r"…"` or `r#"…"#`, when the text begins with one.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| text.starts_with(prefix))?;
    let hashes = text[prefix.len()..].chars().take_while(|sign| *sign == '#').count();
    let inside = text[prefix.len() + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text.len() - inside.len() + inside.find(&end)? + end.len())
}

/// Length of a literal with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut signs = text.char_indices().skip(1);
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => drop(signs.next()),
            _ if sign == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The index behind the bracket that closes the one at `open`.
pub(crate) fn group_end(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The tokens without whatever stands under `#[cfg(test)]`.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if begins(tokens, at, &["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
            return Vec::new();
        }
        if begins(tokens, at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            at = item_end(tokens, at + 1);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

pub(crate) fn begins(tokens: &[Token<'_>], at: usize, texts: &[&str]) -> bool {
    tokens[at..].iter().map(|token| token.text).take(texts.len()).eq(texts.iter().copied())
}

/// The index behind the item that begins at `at`: behind its `;` or its braces.
fn item_end(tokens: &[Token<'_>], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text {
            ";" => return at + 1,
            "{" => return group_end(tokens, at),
            "(" | "[" => at = group_end(tokens, at),
            ")" | "]" | "}" => return at,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        let texts: Vec<&str> = without_tests(&tokens(source)).iter().map(|token| token.text).collect();
        assert_eq!(texts.join(" "), expected, "{source}");
    }

    #[test]
    fn comments_and_literals_hide_their_words() {
        check("a // b\nc /* d /* e */ f */ g", "a c g");
        check("a(\"b \\\" c\", 'd', '\\'', b\"e\\\\\") f", "a ( \"\" , \"\" , \"\" , b \"\" ) f");
        check("r\"a\\\" b r#\"c \" d\"# e br##\"f\"# g\"## h", "\"\" b \"\" e \"\" h");
        check("fn a<'b>(c: &'static str)", "fn a < > ( c : & str )");
        check("a::b::<C>() + 1.5 '\u{e9}'", "a :: b :: < C > ( ) + 1 . 5 \"\"");
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let found = tokens("a\n\"b\nc\" /*\n*/ d // e\nf");
        let lines: Vec<(&str, usize)> = found.iter().map(|token| (token.text, token.line)).collect();
        assert_eq!(lines, [("a", 1), (LITERAL, 2), ("d", 4), ("f", 5)]);
    }

    #[test]
    fn test_items_are_left_out() {
        check("a #[cfg(test)] mod b { c { } } d", "a d");
        check("a #[cfg(test)] mod b; c", "a c");
        check("a #[cfg(test)] #[path] fn b(c: [u8; 2]) -> d { e } f", "a f");
        check("#![cfg(test)] a", "");
        check("#[cfg(unix)] a", "# [ cfg ( unix ) ] a");
    }
}
