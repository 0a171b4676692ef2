//! What every command is given: the API, whose token goes there, and in which form answers are written.

use crate::exit::Usage;
use crate::output::{say, say_json, say_json_line};
use crate::sessions::Sessions;
use anyhow::Result;
use candlemill_client::Api;
use candlemill_client::forms::Accepted;
use candlemill_shared::SystemClock;
use candlemill_shared::env::Env;
use serde::Serialize;

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// The API, without a token.
    api: Api,
    /// The token of the variable, or of the option.
    token: Option<String>,
    /// How this program is called for the same API: `candlemill`, with `--api` where that was given.
    program: String,
    json: bool,
    env: Env,
}

impl Context {
    pub(crate) fn new(api: &str, named_api: bool, token: &str, json: bool, env: Env) -> Self {
        let program = if named_api { format!("candlemill --api {api}") } else { "candlemill".to_owned() };
        let token = Some(token.trim().to_owned()).filter(|token| !token.is_empty());
        Self { api: Api::new(api, ""), token, program, json, env }
    }

    /// Whether answers are written as JSON.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// How this program is called for the same API.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// The environment.
    pub(crate) const fn env(&self) -> &Env {
        &self.env
    }

    /// The API for calls without a token.
    pub(crate) const fn open_api(&self) -> &Api {
        &self.api
    }

    /// The API with the user's token: that of the environment, else that of the login.
    pub(crate) async fn api(&self) -> Result<Api> {
        if let Some(token) = &self.token {
            return Ok(self.api.with_token(token));
        }
        self.logged_in(None).await?.ok_or_else(|| {
            let base = self.api.base();
            Usage(format!("nobody is logged in at {base}: set CANDLEMILL_TOKEN, or run `{} login`", self.program))
                .into()
        })
    }

    /// The API with a newer token than the one that `api` refused; `None` where there is none.
    pub(crate) async fn renewed(&self, api: &Api) -> Result<Option<Api>> {
        if self.token.is_some() {
            return Ok(None);
        }
        let renewed = self.logged_in(Some(api.token())).await?;
        Ok(renewed.filter(|renewed| renewed.token() != api.token()))
    }

    async fn logged_in(&self, refused: Option<&str>) -> Result<Option<Api>> {
        let Some(sessions) = Sessions::of_user(&self.env) else { return Ok(None) };
        let token = sessions.token(self.api.base(), refused, &SystemClock).await?;
        Ok(token.map(|token| self.api.with_token(&token)))
    }

    /// Writes an answer: as JSON where that is wanted, else in `words`.
    pub(crate) fn answer(&self, document: &impl Serialize, words: impl FnOnce() -> String) -> Result<()> {
        if self.json { say_json(document) } else { say(&words()) }
    }

    /// Tells of a submitted task: the answer as a line of JSON where that is wanted, else its id, and of one among several its label.
    pub(crate) fn submitted(&self, accepted: &Accepted, label: Option<&str>) -> Result<()> {
        let id = accepted.task_id;
        match label {
            _ if self.json => say_json_line(accepted),
            Some(label) => say(&format!("{id} {label}")),
            None => say(&id.to_string()),
        }
    }
}
