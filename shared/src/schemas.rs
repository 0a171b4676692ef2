//! Schemas of the vocabulary's own texts, for the API's OpenAPI document.

use crate::interval::Interval;
use crate::symbol::{MAX_SYMBOL_LENGTH, Symbol};
use crate::task::TaskId;
use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

impl PartialSchema for TaskId {
    fn schema() -> RefOr<Schema> {
        text()
            .description(Some("A ULID: ids sort by the time of submission."))
            .pattern(Some("^[0-7][0-9A-HJKMNP-TV-Z]{25}$"))
            .examples(["01JC5Y7V9N8B3M2K1H0G9F8E7D"])
            .into()
    }
}

impl ToSchema for TaskId {
    fn name() -> Cow<'static, str> {
        "TaskId".into()
    }
}

impl PartialSchema for Interval {
    fn schema() -> RefOr<Schema> {
        text()
            .description(Some("Length of a candle, case-sensitive: `1m` is a minute, `1M` a month."))
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .examples(["1m"])
            .into()
    }
}

impl ToSchema for Interval {
    fn name() -> Cow<'static, str> {
        "Interval".into()
    }
}

impl PartialSchema for Symbol {
    fn schema() -> RefOr<Schema> {
        text()
            .description(Some(
                "A market as the exchange spells it: letters A–Z, digits, `-`, `_`, `.`, and visible characters of other scripts.",
            ))
            .min_length(Some(1))
            .max_length(Some(MAX_SYMBOL_LENGTH))
            // No other character of ASCII. Which ones beyond it are visible, no pattern says.
            .pattern(Some(r"^(?:[0-9A-Za-z._-]|[^\u0000-\u00A0])+$"))
            .examples(["BTCUSDT"])
            .into()
    }
}

impl ToSchema for Symbol {
    fn name() -> Cow<'static, str> {
        "Symbol".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_intervals_lists_what_is_read() {
        let schema = serde_json::to_value(Interval::schema()).unwrap();
        let listed = schema["enum"].as_array().unwrap();
        assert_eq!(listed.len(), Interval::ALL.len());
        assert!(listed.iter().all(|name| name.as_str().unwrap().parse::<Interval>().is_ok()));
    }
}
