//! Configuration comes from the environment, is read once in `main` and checked before anything starts.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// The variables of a process, as a value: tests need no process environment.
#[derive(Debug, Clone, Default)]
pub struct Env(BTreeMap<String, String>);

/// A variable that stops the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {variable}: {problem}")]
pub struct EnvError {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong and what was expected. Never holds the value of a secret.
    pub problem: String,
}

/// One variable that the code reads, for `.env.example`, the documentation and the test that holds them equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its default as text; empty where there is none.
    pub default: &'static str,
    /// Meaning, unit and bounds, in one sentence.
    pub help: &'static str,
}

impl Env {
    /// The process's own environment.
    #[must_use]
    pub fn from_process() -> Self {
        Self(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect())
    }

    /// An environment of just these variables.
    #[must_use]
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// The variable's text; `None` when unset or empty.
    #[must_use]
    pub fn text(&self, variable: &Variable) -> Option<&str> {
        self.0.get(variable.name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The variable's text, or its default.
    #[must_use]
    pub fn text_or_default(&self, variable: &'static Variable) -> String {
        self.text(variable).unwrap_or(variable.default).to_owned()
    }

    /// Reads a required text.
    ///
    /// # Errors
    /// When it is unset.
    pub fn required(&self, variable: &'static Variable) -> Result<String, EnvError> {
        self.text(variable)
            .map(str::to_owned)
            .ok_or_else(|| wrong(variable, format!("is not set; expected: {}", variable.help)))
    }

    /// Reads a number within `least..=most`, or the variable's default.
    ///
    /// # Errors
    /// When the text is no number or lies outside the bounds.
    pub fn number<T>(&self, variable: &'static Variable, least: T, most: T) -> Result<T, EnvError>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let text = self.text(variable).unwrap_or(variable.default);
        match text.parse::<T>() {
            Ok(number) if number >= least && number <= most => Ok(number),
            _ => Err(wrong(variable, format!("{text:?} is not a number from {least} to {most} ({})", variable.help))),
        }
    }

    /// Reads `true` or `false`, or the variable's default.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn flag(&self, variable: &'static Variable) -> Result<bool, EnvError> {
        match self.text(variable).unwrap_or(variable.default) {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(wrong(variable, format!("{other:?} is neither true nor false ({})", variable.help))),
        }
    }

    /// Reads an absolute URL of one of `schemes`, or the variable's default, without a trailing slash.
    ///
    /// # Errors
    /// When the scheme is another one. The value is not repeated: it may hold a password.
    pub fn url(&self, variable: &'static Variable, schemes: &[&str]) -> Result<String, EnvError> {
        let text = self.text(variable).unwrap_or(variable.default);
        let fits = schemes.iter().any(|scheme| {
            text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")).is_some_and(|rest| !rest.is_empty())
        });
        if fits {
            Ok(text.trim_end_matches('/').to_owned())
        } else if text.is_empty() {
            Err(wrong(variable, format!("is not set; expected: {}", variable.help)))
        } else {
            Err(wrong(variable, format!("is no URL that starts with {}://", schemes.join(":// or "))))
        }
    }
}

/// An error about `variable`.
#[must_use]
pub fn wrong(variable: &Variable, problem: impl Into<String>) -> EnvError {
    EnvError { variable: variable.name, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    static COUNT: Variable = Variable { name: "COUNT", default: "4", help: "how many, 1 to 8" };
    static PLACE: Variable = Variable { name: "PLACE", default: "", help: "address of the place" };

    #[test]
    fn numbers_have_defaults_and_bounds() {
        assert_eq!(Env::default().number(&COUNT, 1, 8), Ok(4));
        assert_eq!(Env::of([("COUNT", " 7 ")]).number(&COUNT, 1, 8), Ok(7));
        let error = Env::of([("COUNT", "9")]).number(&COUNT, 1, 8).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable COUNT: \"9\" is not a number from 1 to 8 (how many, 1 to 8)"
        );
    }

    #[test]
    fn urls_keep_their_secrets() {
        let env = Env::of([("PLACE", "ftp://user:secret@host")]);
        let error = env.url(&PLACE, &["redis", "rediss"]).unwrap_err().to_string();
        assert!(error.contains("redis:// or rediss://") && !error.contains("secret"), "{error}");
        assert!(Env::default().url(&PLACE, &["http"]).unwrap_err().to_string().contains("is not set"));
        assert_eq!(Env::of([("PLACE", "http://a/")]).url(&PLACE, &["http"]).unwrap(), "http://a");
    }
}
