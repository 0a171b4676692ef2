//! Sign-in of the dashboard, for pages of this service alone.
//!
//! Rules:
//! 1. Every call comes from a page of the own host or of `PUBLIC_URL`, as `Origin` says; browsers let no page write that header. The
//!    calls are outside of CORS, so no other page could read an answer either.
//! 2. The refresh token is a cookie that no script reads and no other call gets. The access token is the answer's, for the page's memory.
//! 3. A sign-in is tried five times a minute from one address, and five times for one e-mail: to Supabase all users come from our
//!    address, and share what it allows that one.
//! 4. Whatever is wrong with e-mail, password or account, the answer is the same.
//! 5. Refresh tokens are good for one use. What many ask for at once with the same one is asked for once, and answered alike for a moment.

mod own_tries;
pub(crate) mod page;
pub mod refresh;
pub mod sign_in;
pub mod sign_out;
mod tries;

pub use own_tries::OwnTries;

use crate::auth::SessionTokens;
use serde::Serialize;
use utoipa::ToSchema;

/// A session that goes on.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Access token, for `Authorization: Bearer`.
    access_token: String,
    /// When it ends, seconds since 1970.
    expires_at: i64,
}

impl From<&SessionTokens> for SessionView {
    fn from(tokens: &SessionTokens) -> Self {
        Self { access_token: tokens.access_token.clone(), expires_at: tokens.expires_at }
    }
}
