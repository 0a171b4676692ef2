//! The operators' token.

use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

pub(crate) static ADMIN_TOKEN: Variable = Variable {
    name: "ADMIN_TOKEN",
    default: "",
    help: "token of operators for the calls under /api/admin, 32 to 512 visible ASCII characters; empty: they are refused",
};

const SHORTEST: usize = 32;
const LONGEST: usize = 512;
/// The operators' token. Only its hash is kept: hashes are of one length, so comparing them tells nothing of the token's.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

impl AdminToken {
    /// Reads the token; `None` when there is none.
    ///
    /// # Errors
    /// When it is too short to be no guess, too long, or no header could carry it.
    pub fn from_env(env: &Env) -> Result<Option<Self>, EnvError> {
        let Some(token) = env.text(&ADMIN_TOKEN) else { return Ok(None) };
        if !(SHORTEST..=LONGEST).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let told = format!(
                "must have {SHORTEST} to {LONGEST} visible ASCII characters, as `openssl rand -hex 32` makes them"
            );
            return Err(wrong(&ADMIN_TOKEN, told));
        }
        Ok(Some(Self(hash(token))))
    }

    /// Whether this is the token; takes the same time whatever is wrong with it.
    #[must_use]
    pub fn is(&self, token: &str) -> bool {
        self.0.ct_eq(&hash(token)).into()
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
