//! How the program ends.

use crate::supabase::SupabaseError;
use anyhow::Error;
use candlemill_client::ApiError;
use serde_json::{Value, json};
use std::io;

/// The task failed, or the API refused.
pub(crate) const FAILED: u8 = 1;
/// The program was called wrongly.
pub(crate) const USAGE: u8 = 2;
/// The API, or Supabase, does not answer.
pub(crate) const UNREACHABLE: u8 = 3;
/// Ctrl-C: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// What `--help` says of it.
pub(crate) const HELP: &str = "Exit codes: 0 done; 1 the task failed or the API refused; 2 called wrongly; 3 no answer; \
    130 interrupted.\n\nWith --json: one JSON document on standard output, of what is followed or submitted one a line; \
    errors as one line on standard error.";

/// The program was called wrongly, in a way that its arguments alone do not show.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The exit code that fits `error`.
pub(crate) fn code_of(error: &Error) -> u8 {
    for cause in error.chain() {
        // The reader of the output has read enough.
        if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return 0;
        }
        if cause.is::<Usage>() {
            return USAGE;
        }
        match cause.downcast_ref::<ApiError>() {
            Some(ApiError::Unsendable { .. }) => return USAGE,
            Some(error) if error.is_unreachable() => return UNREACHABLE,
            _ => {}
        }
        if matches!(cause.downcast_ref::<SupabaseError>(), Some(SupabaseError::Unreachable { .. })) {
            return UNREACHABLE;
        }
    }
    FAILED
}

/// The refusal that `error` is, where it is one.
pub(crate) fn refusal(error: &Error) -> Option<&ApiError> {
    error.chain().find_map(|cause| cause.downcast_ref::<ApiError>())
}

/// `error` in words, with what to do where that is not said yet.
pub(crate) fn words(error: &Error) -> String {
    let text = format!("candlemill: {error:#}");
    if refusal(error)
        .and_then(ApiError::code)
        .is_some_and(|code| code.ends_with("_token") && code != "invalid_admin_token")
    {
        return format!("{text}\nRun `candlemill login`, or set CANDLEMILL_TOKEN to a fresh access token.");
    }
    text
}

/// `error` as one JSON document: the API's own problem, or one of the same form.
pub(crate) fn document(error: &Error) -> Value {
    if let Some(ApiError::Problem(problem)) = refusal(error) {
        return json!(problem);
    }
    let code = match code_of(error) {
        USAGE => "usage",
        UNREACHABLE => "unreachable",
        _ => "failed",
    };
    json!({ "code": code, "title": error.to_string(), "detail": format!("{error:#}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_client::forms::ProblemDocument;

    fn problem(code: &str) -> Error {
        let problem =
            ProblemDocument { status: 401, title: "No".into(), code: code.into(), ..ProblemDocument::default() };
        Error::from(ApiError::Problem(problem.into())).context("asking")
    }

    #[test]
    fn codes() {
        let io = |kind| Error::from(io::Error::from(kind)).context("writing to standard output");
        assert_eq!(code_of(&io(io::ErrorKind::BrokenPipe)), 0);
        assert_eq!(code_of(&io(io::ErrorKind::StorageFull)), FAILED);
        assert_eq!(code_of(&Usage("which?".into()).into()), USAGE);
        assert_eq!(code_of(&problem("tier_limit")), FAILED);
        assert_eq!(code_of(&ApiError::StreamBroken { task: "t".into(), breaks: 3 }.into()), UNREACHABLE);
        assert_eq!(document(&problem("tier_limit"))["code"], "tier_limit");
        assert_eq!(document(&Usage("which?".into()).into())["code"], "usage");
    }

    #[test]
    fn who_has_a_wrong_token_is_told_where_one_comes_from() {
        assert!(words(&problem("expired_token")).contains("candlemill login"));
        assert!(!words(&problem("tier_limit")).contains("candlemill login"));
        assert!(!words(&problem("invalid_admin_token")).contains("candlemill login"));
    }
}
