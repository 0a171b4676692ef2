//! Messages that end every worker of apalis-redis that takes them, found and set right:
//!
//! - one whose text is gone (`vacuum()` of apalis leaves such ids behind) is removed: nothing is left of it;
//! - one whose metadata cannot be read, as after a producer wrote metadata of its own under `status` or `attempts`, gets
//!   new ones;
//! - one whose id apalis spells otherwise than it is stored (`007`, a ULID in lower case), and therefore never could be
//!   acknowledged, gets the id as apalis spells it.
//!
//! apalis's own code judges, so that both agree on what can be read.

use super::store::{STEP, Store};
use apalis_core::task::task_id::TaskId;
use apalis_redis::queries::deserialize_with_meta;
use candlemill_db::StoreError;
use redis::{Script, Value, cmd};
use std::sync::LazyLock;
use ulid::Ulid;

/// Steps of one search through the messages that wait.
const STEPS: usize = 100;

static LOOK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("look.lua")));
static MEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("mend.lua")));

/// What was set right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sifted {
    /// Messages that can be read now.
    pub(super) mended: u64,
    /// Ids without a message.
    pub(super) ghosts: u64,
}

/// Sets right what `worker`, which has ended, held, and what waits: from the head on, while there is something wrong.
pub(super) async fn sift(store: &Store, worker: &str) -> Result<Sifted, StoreError> {
    let mut sifted = Sifted::default();
    let held = store.held_by(worker).await?;
    sift_these(store, worker, &held, &mut sifted).await?;
    let mut from = 0;
    for _ in 0..STEPS {
        let waiting: Vec<Vec<u8>> = cmd("LRANGE")
            .arg(&store.keys.waiting)
            .arg(from)
            .arg(from + STEP - 1)
            .query_async(&mut store.connection.clone())
            .await
            .map_err(StoreError::redis("looking through the inbox"))?;
        let before = sifted;
        let left = sift_these(store, worker, &waiting, &mut sifted).await?;
        if sifted == before || waiting.len() < STEP {
            break;
        }
        from += STEP - left;
    }
    Ok(sifted)
}

/// Returns how many of them left their place.
async fn sift_these(store: &Store, worker: &str, ids: &[Vec<u8>], sifted: &mut Sifted) -> Result<usize, StoreError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let failed = |error| StoreError::redis("setting messages of the inbox right")(error);
    let mut connection = store.connection.clone();
    let mut look = LOOK.key(&store.keys.data);
    look.arg(&store.keys.meta).arg(ids);
    let seen: Vec<Value> = look.invoke_async(&mut connection).await.map_err(failed)?;
    let mut left = 0;
    for (id, seen) in ids.iter().zip(seen) {
        let as_spelled = spelled(id);
        if readable(seen) && as_spelled.as_ref().is_some_and(|text| text.as_bytes() == id) {
            continue;
        }
        let fresh = Ulid::generate().to_string();
        let mut mend = MEND.key(&store.keys.data);
        mend.key(&store.keys.waiting).key(store.keys.held_by(worker)).key(&store.keys.tries);
        mend.arg(&store.keys.meta).arg(id).arg(as_spelled.as_ref().unwrap_or(&fresh)).arg(&fresh);
        let became: u8 = mend.invoke_async(&mut connection).await.map_err(failed)?;
        match became {
            0 => sifted.ghosts += 1,
            _ => sifted.mended += 1,
        }
        left += usize::from(became != 1);
    }
    Ok(left)
}

/// The id as apalis spells it once it has read it.
fn spelled(id: &[u8]) -> Option<String> {
    std::str::from_utf8(id).ok()?.parse::<TaskId>().ok().map(|id| id.to_string())
}

/// Whether apalis can read a message of which [`LOOK`] says this.
fn readable(seen: Value) -> bool {
    let Value::Array(parts) = seen else { return false };
    let Ok([text, fields]) = <[Value; 2]>::try_from(parts) else { return false };
    deserialize_with_meta(vec![Value::Array(vec![text]), Value::Array(vec![fields])]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[&str], expected: bool) {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let fields = Value::Array(fields.iter().copied().map(text).collect());
        assert_eq!(readable(Value::Array(vec![text("text"), fields.clone()])), expected, "{fields:?}");
        assert!(!readable(Value::Array(vec![Value::Nil, fields])), "without a text nothing is readable");
    }

    #[test]
    fn apalis_judges_what_can_be_read() {
        let good = ["7", "attempts", "0", "max_attempts", "25", "status", "Pending"];
        check(&good, true);
        check(&[&good[..], &["idempotency_key", "", "of a producer", "x"]].concat(), true);
        check(&["7"], false);
        check(&["7", "attempts", "-1", "max_attempts", "25", "status", "Pending"], false);
        check(&["7", "attempts", "0", "max_attempts", "25", "status", "new"], false);
    }

    #[test]
    fn ids_that_apalis_spells_otherwise_are_seen() {
        for good in ["7", "01JC5Y7V9N8B3M2K1H0G9F8E7D", "any text"] {
            assert_eq!(spelled(good.as_bytes()).as_deref(), Some(good));
        }
        assert_eq!(spelled(b"007").as_deref(), Some("7"));
        assert_eq!(spelled(b"01jc5y7v9n8b3m2k1h0g9f8e7d").as_deref(), Some("01JC5Y7V9N8B3M2K1H0G9F8E7D"));
        assert_eq!((spelled(b""), spelled(b"\xff")), (None, None));
    }
}
