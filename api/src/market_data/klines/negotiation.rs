//! Which form of candles a request wants, and how its answer is labelled.

use candlemill_columnar::Format;

/// The form that an `Accept` header names first; JSON when it names none of ours.
pub(super) fn accepted(accept: Option<&str>) -> Format {
    let mut kinds = accept.unwrap_or_default().split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds
        .find_map(|kind| [Format::Arrow, Format::Csv, Format::Json].into_iter().find(|form| form.media_type() == kind))
        .unwrap_or(Format::Json)
}

/// The `Content-Type` of an answer.
pub(super) const fn content_type(format: Format) -> &'static str {
    match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Json | Format::Objects | Format::Arrow => format.media_type(),
    }
}

/// Whether an answer without a limit is a page rather than the whole range.
pub(super) const fn is_paged(format: Format) -> bool {
    matches!(format, Format::Json | Format::Objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers() {
        for (accept, expected) in [
            (None, Format::Json),
            (Some("*/*"), Format::Json),
            (Some("application/json, text/csv"), Format::Json),
            (Some("text/html, text/csv;q=0.9"), Format::Csv),
            (Some("application/vnd.apache.arrow.stream"), Format::Arrow),
        ] {
            assert_eq!(accepted(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn content_types() {
        for (format, expected) in [
            (Format::Json, "application/json"),
            (Format::Objects, "application/json"),
            (Format::Csv, "text/csv; charset=utf-8"),
            (Format::Arrow, "application/vnd.apache.arrow.stream"),
        ] {
            assert_eq!(content_type(format), expected, "{format:?}");
        }
    }
}
