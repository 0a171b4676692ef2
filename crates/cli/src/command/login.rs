//! `candlemill login`, `candlemill logout`

use crate::context::Context;
use crate::exit::Usage;
use crate::output::note;
use crate::sessions::{Renewal, Session, Sessions};
use crate::supabase::Supabase;
use anyhow::{Context as _, Result};
use candlemill_client::forms::{PageLimit, TaskFilter};
use candlemill_shared::{Clock as _, SystemClock};
use clap::Args;
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Keeps a login for this API. Standard input has the password of `--email`, or an access token; a terminal is asked for it.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Address of the user; without it standard input has an access token, which cannot be renewed.
    #[arg(long)]
    email: Option<String>,
    /// Address of the Supabase project.
    #[arg(long, env = "SUPABASE_URL", requires = "email")]
    supabase_url: Option<String>,
    /// Publishable key of the project.
    #[arg(long, env = "SUPABASE_PUBLISHABLE_KEY", requires = "email")]
    supabase_key: Option<String>,
}

impl Login {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let sessions = sessions(context)?;
        let session = match &self.email {
            Some(email) => {
                let (Some(url), Some(key)) = (&self.supabase_url, &self.supabase_key) else {
                    let missing = "where does the user sign in? Set SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY, or pass --supabase-url and --supabase-key";
                    return Err(Usage(missing.to_owned()).into());
                };
                let password = secret(&format!("password of {email}"))?;
                let signed_in = Supabase::new(url, key).sign_in(email, &password).await?;
                let renewal = Renewal {
                    supabase_url: url.clone(),
                    supabase_key: key.clone(),
                    refresh_token: signed_in.refresh_token,
                    expires_at: SystemClock.now_ms() + signed_in.expires_in * 1_000,
                };
                Session { access_token: signed_in.access_token, renewal: Some(renewal) }
            }
            None => Session { access_token: secret("access token")?, renewal: None },
        };
        // What the API does not take is not kept.
        let api = context.open_api().with_token(&session.access_token);
        api.tasks(&TaskFilter { limit: Some(PageLimit::nearest(1).into()), ..TaskFilter::default() }).await?;
        sessions.set(api.base(), Some(session))?;
        let file = sessions.file().display().to_string();
        context.answer(&json!({ "api": api.base(), "file": file }), || {
            format!("logged in at {}; kept in {file}", api.base())
        })
    }
}

/// Forgets the login.
pub(crate) fn log_out(context: &Context) -> Result<()> {
    let base = context.open_api().base();
    let was = sessions(context)?.set(base, None)?;
    context.answer(&json!({ "api": base, "logged_out": was }), || {
        if was { format!("logged out at {base}") } else { format!("nobody was logged in at {base}") }
    })
}

fn sessions(context: &Context) -> Result<Sessions> {
    let found = Sessions::of_user(context.env());
    found.ok_or_else(|| Usage("where are logins kept? Set HOME or XDG_CONFIG_HOME".to_owned()).into())
}

/// The first line of standard input; a terminal does not show it.
fn secret(what: &str) -> Result<String> {
    let mut line = String::new();
    if std::io::stdin().is_terminal() {
        drop(write!(std::io::stderr(), "{what}: "));
        line = console::Term::stderr().read_secure_line().context("reading from the terminal")?;
        note("");
    } else {
        std::io::stdin().lock().read_line(&mut line).context("reading standard input")?;
    }
    let secret = line.trim_end_matches(['\n', '\r']).to_owned();
    if secret.is_empty() { Err(Usage(format!("standard input has no {what}")).into()) } else { Ok(secret) }
}
