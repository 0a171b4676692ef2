//! Users, sessions and the table of subscriptions.

use super::identity::{random_uuid, uuid_of};
use candlemill_shared::range::rfc3339;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Domain of the demo users.
const DEMO_DOMAIN: &str = "candlemill.test";
/// Demo users that exist from the start; each one's tier has its name.
const DEMO_TIERS: [&str; 3] = ["free", "pro", "enterprise"];
/// Every user's first day, UTC ms.
const CREATED_MS: i64 = 1_767_322_845_000;

/// A user as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// User id, a UUID that depends on the address alone.
    pub id: String,
    /// Address.
    pub email: String,
    /// `app_metadata.tier`.
    pub tier: Option<String>,
    /// Tier of the user's row in `subscriptions`.
    pub subscription: Option<String>,
    /// Sessions that are signed in.
    pub sessions: usize,
}

/// A change of a user; absent fields stay as they are. A user that does not exist is created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserChange {
    /// New password.
    pub password: Option<String>,
    /// New `app_metadata.tier`, `null` removes it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub tier: Option<Option<String>>,
    /// New `user_metadata.tier`, which is not to be trusted; `null` removes it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub claimed_tier: Option<Option<String>>,
    /// New tier of the row in `subscriptions`, `null` removes the row.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Option<String>>,
    /// Bans the user, or lifts the ban.
    pub banned: Option<bool>,
    /// Ends every session.
    pub signed_out: bool,
    /// Deletes the user.
    pub deleted: bool,
}

/// Tells a field that is `null` from one that is absent.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// One user.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) email: String,
    password: String,
    pub(super) app_metadata: Map<String, Value>,
    pub(super) user_metadata: Map<String, Value>,
    pub(super) banned_until_ms: Option<i64>,
    updated_ms: i64,
    last_sign_in_ms: Option<i64>,
}

impl User {
    fn new(email: &str, password: &str, tier: Option<&str>) -> Self {
        let mut app_metadata = Map::new();
        app_metadata.insert("provider".to_owned(), "email".into());
        app_metadata.insert("providers".to_owned(), json!(["email"]));
        if let Some(tier) = tier {
            app_metadata.insert("tier".to_owned(), tier.into());
        }
        Self {
            id: uuid_of(email),
            email: email.to_owned(),
            password: password.to_owned(),
            app_metadata,
            user_metadata: Map::new(),
            banned_until_ms: None,
            updated_ms: CREATED_MS,
            last_sign_in_ms: None,
        }
    }

    /// The user object of Auth: no token inside, absent times absent.
    pub(super) fn object(&self) -> Value {
        let created = rfc3339(CREATED_MS);
        let mut object = json!({
            "id": self.id,
            "aud": "authenticated",
            "role": "authenticated",
            "email": self.email,
            "phone": "",
            "email_confirmed_at": created,
            "confirmed_at": created,
            "app_metadata": self.app_metadata,
            "user_metadata": self.user_metadata,
            "identities": [],
            "created_at": created,
            "updated_at": rfc3339(self.updated_ms),
            "is_anonymous": false,
        });
        let times = [("last_sign_in_at", self.last_sign_in_ms), ("banned_until", self.banned_until_ms)];
        for (name, at) in times.into_iter().filter_map(|(name, at)| Some((name, at?))) {
            object[name] = rfc3339(at).into();
        }
        object
    }
}

/// A session that signed in.
#[derive(Debug, Clone)]
pub(super) struct SignIn {
    pub(super) user: User,
    pub(super) session_id: String,
    pub(super) refresh_token: String,
}

/// Everything that Supabase stores.
#[derive(Debug)]
pub(crate) struct Accounts {
    password: String,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    /// By id.
    users: BTreeMap<String, User>,
    /// Session to user id.
    sessions: HashMap<String, String>,
    /// Refresh token to session.
    refresh_tokens: HashMap<String, String>,
    /// User id to tier.
    subscriptions: BTreeMap<String, String>,
}

impl Accounts {
    /// The demo users, who all have this password.
    pub(crate) fn new(password: &str) -> Self {
        let mut tables = Tables::default();
        for tier in DEMO_TIERS {
            tables.add(User::new(&format!("{tier}@{DEMO_DOMAIN}"), password, Some(tier)));
        }
        Self { password: password.to_owned(), tables: Mutex::new(tables) }
    }

    /// Tables in which a load user of this address exists.
    fn tables(&self, email: Option<&str>) -> MutexGuard<'_, Tables> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(email) = email.filter(|email| is_load_user(email))
            && !tables.users.contains_key(&uuid_of(email))
        {
            tables.add(User::new(email, &self.password, Some("enterprise")));
        }
        tables
    }

    /// Checks address and password and opens a session.
    pub(super) fn sign_in(&self, email: &str, password: &str, now: i64) -> Option<SignIn> {
        let mut tables = self.tables(Some(email));
        let user = tables.users.get_mut(&uuid_of(email)).filter(|user| user.password == password)?;
        user.last_sign_in_ms = Some(now);
        let user = user.clone();
        Some(tables.open_session(user))
    }

    /// Opens a session without a password, for minted tokens.
    pub(super) fn open_session(&self, email: &str) -> Option<SignIn> {
        let mut tables = self.tables(Some(email));
        let user = tables.users.get(&uuid_of(email))?.clone();
        Some(tables.open_session(user))
    }

    /// Uses a refresh token up; the session goes on with a new one.
    pub(super) fn refresh(&self, refresh_token: &str) -> Option<SignIn> {
        let mut tables = self.tables(None);
        let session_id = tables.refresh_tokens.remove(refresh_token)?;
        let user_id = tables.sessions.get(&session_id)?.clone();
        let user = tables.users.get(&user_id)?.clone();
        let refresh_token = random_token();
        tables.refresh_tokens.insert(refresh_token.clone(), session_id.clone());
        Some(SignIn { user, session_id, refresh_token })
    }

    /// The user of an id.
    pub(super) fn user(&self, id: &str) -> Option<User> {
        self.tables(None).users.get(id).cloned()
    }

    /// Whether the session is signed in.
    pub(super) fn has_session(&self, session_id: &str) -> bool {
        self.tables(None).sessions.contains_key(session_id)
    }

    /// Ends those sessions of a user that `ends` names.
    pub(super) fn end_sessions(&self, user_id: &str, ends: impl Fn(&str) -> bool) {
        self.tables(None).end_sessions(user_id, ends);
    }

    /// The user's row in `subscriptions`.
    pub(super) fn subscription(&self, user_id: &str) -> Option<String> {
        self.tables(None).subscriptions.get(user_id).cloned()
    }

    /// Changes a user as an administrator does; `None` when there is no such user.
    pub(super) fn update(&self, id: &str, now: i64, change: impl FnOnce(&mut User)) -> Option<User> {
        let mut tables = self.tables(None);
        let user = tables.users.get_mut(id)?;
        change(user);
        user.updated_ms = now;
        Some(user.clone())
    }

    /// Deletes a user and its sessions; whether it existed.
    pub(super) fn delete(&self, id: &str) -> bool {
        let mut tables = self.tables(None);
        tables.end_sessions(id, |_| true);
        tables.users.remove(id).is_some()
    }

    /// Applies a change from the control plane.
    pub(crate) fn change(&self, email: &str, change: &UserChange, now: i64) -> Option<UserView> {
        let mut tables = self.tables(Some(email));
        let id = uuid_of(email);
        if !tables.users.contains_key(&id) {
            tables.users.insert(id.clone(), User::new(email, &self.password, None));
        }
        let user = tables.users.get_mut(&id)?;
        if let Some(password) = &change.password {
            user.password.clone_from(password);
        }
        set(&mut user.app_metadata, change.tier.as_ref());
        set(&mut user.user_metadata, change.claimed_tier.as_ref());
        match change.banned {
            Some(true) => user.banned_until_ms = Some(now + 100 * 365 * 86_400_000),
            Some(false) => user.banned_until_ms = None,
            None => {}
        }
        user.updated_ms = now;
        match &change.subscription {
            Some(Some(tier)) => drop(tables.subscriptions.insert(id.clone(), tier.clone())),
            Some(None) => drop(tables.subscriptions.remove(&id)),
            None => {}
        }
        if change.signed_out || change.deleted {
            tables.end_sessions(&id, |_| true);
        }
        let view = tables.view(&id);
        if change.deleted {
            tables.users.remove(&id);
        }
        view
    }

    /// The user as a test sees it.
    pub(crate) fn view(&self, email: &str) -> Option<UserView> {
        self.tables(Some(email)).view(&uuid_of(email))
    }
}

impl Tables {
    /// Adds a user whose subscription is that of its metadata.
    fn add(&mut self, user: User) {
        if let Some(tier) = user.app_metadata.get("tier").and_then(Value::as_str) {
            self.subscriptions.insert(user.id.clone(), tier.to_owned());
        }
        self.users.insert(user.id.clone(), user);
    }

    fn open_session(&mut self, user: User) -> SignIn {
        let (session_id, refresh_token) = (random_uuid(), random_token());
        self.sessions.insert(session_id.clone(), user.id.clone());
        self.refresh_tokens.insert(refresh_token.clone(), session_id.clone());
        SignIn { user, session_id, refresh_token }
    }

    fn end_sessions(&mut self, user_id: &str, ends: impl Fn(&str) -> bool) {
        self.sessions.retain(|session, user| user != user_id || !ends(session));
        let sessions = &self.sessions;
        self.refresh_tokens.retain(|_, session| sessions.contains_key(session));
    }

    fn view(&self, id: &str) -> Option<UserView> {
        let user = self.users.get(id)?;
        Some(UserView {
            id: id.to_owned(),
            email: user.email.clone(),
            tier: user.app_metadata.get("tier").and_then(Value::as_str).map(str::to_owned),
            subscription: self.subscriptions.get(id).cloned(),
            sessions: self.sessions.values().filter(|user| *user == id).count(),
        })
    }
}

fn set(metadata: &mut Map<String, Value>, tier: Option<&Option<String>>) {
    match tier {
        Some(Some(tier)) => drop(metadata.insert("tier".to_owned(), tier.clone().into())),
        Some(None) => drop(metadata.remove("tier")),
        None => {}
    }
}

/// `load<number>@candlemill.test`: users of load tests, who come into being when they are first named.
fn is_load_user(email: &str) -> bool {
    let number = email.strip_prefix("load").and_then(|rest| rest.strip_suffix(DEMO_DOMAIN)?.strip_suffix('@'));
    number.is_some_and(|number| (1..=9).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()))
}

fn random_token() -> String {
    format!("{:012x}", rand::random::<u64>() >> 16)
}
