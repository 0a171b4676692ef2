//! Logins that are kept: one for each API, in a file of the user's alone.
//!
//! A token goes to the API that it was kept for, and to no other. Refresh tokens are good for one use: the process that renews holds the
//! lock, and reads again what another process may have renewed meanwhile.

use crate::supabase::{Supabase, SupabaseError};
use anyhow::{Context as _, Result};
use candlemill_shared::Clock;
use candlemill_shared::env::{Env, Variable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

static CONFIG_HOME: Variable =
    Variable { name: "XDG_CONFIG_HOME", default: "", help: "Folder of the user's settings; ~/.config when empty." };
static HOME: Variable = Variable { name: "HOME", default: "", help: "The user's folder." };

/// A token with less left than this is renewed.
const LEFT_MS: i64 = 60_000;

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// What is sent to the API.
    pub(crate) access_token: String,
    /// How it is renewed; absent of a token that was given as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renewal: Option<Renewal>,
}

/// How a login is renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Renewal {
    /// Address of the Supabase project.
    pub(crate) supabase_url: String,
    /// Its publishable key.
    pub(crate) supabase_key: String,
    /// Good for one use.
    pub(crate) refresh_token: String,
    /// When the access token expires, UTC ms.
    pub(crate) expires_at: i64,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// By address of the API.
    sessions: BTreeMap<String, Session>,
}

/// Where logins are kept.
#[derive(Debug)]
pub(crate) struct Sessions {
    folder: PathBuf,
}

impl Sessions {
    /// Those of the user; `None` where no variable says which user.
    pub(crate) fn of_user(env: &Env) -> Option<Self> {
        let config = env.text(&CONFIG_HOME).map(PathBuf::from);
        let config = config.or_else(|| env.text(&HOME).map(|home| PathBuf::from(home).join(".config")))?;
        Some(Self { folder: config.join("candlemill") })
    }

    /// The file that holds them.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("sessions.json")
    }

    /// The token to send to `api`, renewed where it is about to expire; `None` when nobody logged in there. `refused` is a token
    /// that the API did not take: that one is renewed in any case.
    pub(crate) async fn token(&self, api: &str, refused: Option<&str>, clock: &impl Clock) -> Result<Option<String>> {
        let good = |session: &Session| {
            let left = session.renewal.as_ref().is_none_or(|renewal| renewal.expires_at - clock.now_ms() > LEFT_MS);
            left && refused != Some(session.access_token.as_str())
        };
        match self.read()?.sessions.remove(api) {
            None => return Ok(None),
            Some(session) if good(&session) || session.renewal.is_none() => return Ok(Some(session.access_token)),
            Some(_) => {}
        }
        let _lock = self.lock()?;
        let mut stored = self.read()?;
        let Some(session) = stored.sessions.get_mut(api) else { return Ok(None) };
        if let Some(renewal) = session.renewal.clone().filter(|_| !good(session)) {
            let renewed = renew(renewal, clock).await;
            *session =
                renewed.with_context(|| format!("renewing the login at {api} (`candlemill login` starts anew)"))?;
        }
        let token = session.access_token.clone();
        self.write(&stored)?;
        Ok(Some(token))
    }

    /// Keeps `session` for `api`, or forgets the one there is; whether there was one.
    pub(crate) fn set(&self, api: &str, session: Option<Session>) -> Result<bool> {
        let _lock = self.lock()?;
        let mut stored = self.read()?;
        let before = match session {
            Some(session) => stored.sessions.insert(api.to_owned(), session),
            None => stored.sessions.remove(api),
        };
        self.write(&stored)?;
        Ok(before.is_some())
    }

    fn read(&self) -> Result<Stored> {
        let file = self.file();
        match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", file.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Stored { version: 1, ..Stored::default() }),
            Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
        }
    }

    /// Replaces the file at once. Temporary files, and so this one, are for their owner alone (mode 600).
    fn write(&self, stored: &Stored) -> Result<()> {
        let file = self.file();
        let mut new = tempfile::NamedTempFile::new_in(&self.folder).context("keeping the login")?;
        new.write_all(serde_json::to_string_pretty(stored)?.as_bytes()).context("keeping the login")?;
        new.persist(&file).with_context(|| format!("writing {}", file.display()))?;
        Ok(())
    }

    /// Held until it is dropped.
    fn lock(&self) -> Result<File> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let opened = builder.create(&self.folder).and_then(|()| File::create(self.folder.join("sessions.lock")));
        let lock = opened.with_context(|| format!("opening {}", self.folder.display()))?;
        lock.lock().with_context(|| format!("locking {}", self.folder.display()))?;
        Ok(lock)
    }
}

async fn renew(renewal: Renewal, clock: &impl Clock) -> Result<Session, SupabaseError> {
    let supabase = Supabase::new(&renewal.supabase_url, &renewal.supabase_key);
    let signed_in = supabase.refresh(&renewal.refresh_token).await?;
    Ok(Session {
        access_token: signed_in.access_token,
        renewal: Some(Renewal {
            refresh_token: signed_in.refresh_token,
            expires_at: clock.now_ms() + signed_in.expires_in * 1_000,
            ..renewal
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Json;
    use axum::routing::post;
    use candlemill_shared::ManualClock;
    use serde_json::json;

    /// A Supabase whose tokens are numbered, each refresh token good for one use.
    async fn supabase() -> String {
        let uses = std::sync::Arc::new(std::sync::Mutex::new(0));
        let app = axum::Router::new().route(
            "/auth/v1/token",
            post(async move |Json(body): Json<serde_json::Value>| {
                let mut used = uses.lock().unwrap();
                assert_eq!(body["refresh_token"], format!("refresh-{used}"));
                *used += 1;
                Json(json!({"access_token": format!("access-{used}"), "refresh_token": format!("refresh-{used}"), "expires_in": 3600}))
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }

    #[tokio::test]
    async fn logins_are_kept_for_one_api_alone_and_renewed_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let sessions = Sessions::of_user(&Env::of([("XDG_CONFIG_HOME", home)])).unwrap();
        let clock = ManualClock::at(0);
        assert_eq!(sessions.token("http://a", None, &clock).await.unwrap(), None);
        let renewal = Renewal {
            supabase_url: supabase().await,
            supabase_key: "key".into(),
            refresh_token: "refresh-0".into(),
            expires_at: 3_600_000,
        };
        let session = Session { access_token: "access-0".into(), renewal: Some(renewal) };
        assert!(!sessions.set("http://a", Some(session)).unwrap());
        let check = async |api: &str, refused: Option<&str>, expected: Option<&str>| {
            assert_eq!(sessions.token(api, refused, &clock).await.unwrap().as_deref(), expected, "{api} {refused:?}");
        };
        check("http://a", None, Some("access-0")).await;
        check("http://b", None, None).await;
        clock.advance(3_550_000);
        check("http://a", None, Some("access-1")).await;
        check("http://a", None, Some("access-1")).await;
        check("http://a", Some("access-1"), Some("access-2")).await;
        check("http://a", Some("access-1"), Some("access-2")).await;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(sessions.file()), mode(sessions.folder.clone())), (0o600, 0o700));
        }
        assert!(sessions.set("http://a", None).unwrap());
        check("http://a", None, None).await;
    }
}
