//! Tokens that were signed out: every process forgets them.

use super::authenticator::{Authenticator, TokenHash};
use candlemill_db::Bus;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Wait before a lost subscription is tried again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

impl Authenticator {
    /// Forgets a token, here and in every process that listens. One that misses the message believes the token for as long as it would
    /// have been remembered.
    pub(super) async fn forget(&self, token: &str) {
        let hash: TokenHash = Sha256::digest(token).into();
        self.remembered.invalidate(&hash).await;
        if let Err(error) = self.shared.forget(&hex::encode(hash)).await {
            tracing::debug!(%error, "a token was forgotten in this process alone");
        }
    }

    /// Forgets what other processes forget, for ever.
    pub async fn follow_sign_outs(&self, bus: &Bus) {
        loop {
            if let Ok(forgotten) = bus.subscribe(&self.shared.channel()).await {
                let mut forgotten = std::pin::pin!(forgotten);
                while let Some(id) = forgotten.next().await {
                    let mut hash: TokenHash = [0; 32];
                    if hex::decode_to_slice(&id, &mut hash).is_ok() {
                        self.remembered.invalidate(&hash).await;
                    }
                }
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }
}
