//! What a message asks for, or why it can never be accepted.

use candlemill_shared::request::TaskRequest;
use candlemill_shared::task::TaskError;
use candlemill_tasks::idempotency_key_of;
use serde_json::Value;

/// Largest message, bytes: what is refused must fit into a record.
const LARGEST: usize = 1024 * 1024;
/// Bytes that are kept of a message that is too large.
const KEPT: usize = 4 * 1024;

/// A message as a worker takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The id that apalis gave it, or its producer.
    pub(crate) id: String,
    /// Its text: JSON, if it is what it should be.
    pub(crate) text: Vec<u8>,
}

/// A message that can never be accepted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refused {
    /// As it came; a JSON string where it was no JSON.
    pub(super) raw: Value,
    /// Why.
    pub(super) error: TaskError,
}

impl Message {
    /// The request in it and the JSON that it came as. Its idempotency key is the message's id, unless it brings one.
    pub(super) fn open(&self) -> Result<(TaskRequest, Value), Refused> {
        let refused = |raw: Value, message: String| Refused { raw, error: TaskError::new("invalid_request", message) };
        let as_text = |length: usize| Value::String(String::from_utf8_lossy(&self.text[..length]).into_owned());
        let length = self.text.len();
        if length > LARGEST {
            let why = format!("the message has {length} bytes; at most {LARGEST} are taken, of which a task needs few");
            return Err(refused(as_text(KEPT), why));
        }
        let raw: Value = serde_json::from_slice(&self.text)
            .map_err(|error| refused(as_text(length), format!("the message is no JSON: {error}")))?;
        if !raw.is_object() {
            return Err(refused(raw, "the message is no task request: a JSON object is expected".to_owned()));
        }
        if let Some(field) = ["owner", "tier"].into_iter().find(|field| raw.get(field).is_some()) {
            let why = format!("the message names its {field}, which the inbox's configuration alone decides");
            return Err(refused(raw, why));
        }
        match serde_json::from_value::<TaskRequest>(raw.clone()) {
            Ok(request) => {
                let idempotency_key = request.idempotency_key.or_else(|| Some(idempotency_key_of(&self.id)));
                Ok((TaskRequest { idempotency_key, ..request }, raw))
            }
            Err(error) => Err(refused(raw, format!("the message is no task request: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `Ok`: the idempotency key. `Err`: words of the cause.
    fn check(text: &[u8], expected: Result<&str, &str>) {
        let opened = Message { id: "7".to_owned(), text: text.to_owned() }.open();
        match (opened, expected) {
            (Ok((request, raw)), Ok(key)) => {
                assert_eq!(request.idempotency_key.as_deref(), Some(key), "{raw}");
                assert_eq!(raw, serde_json::from_slice::<Value>(text).unwrap());
            }
            (Err(refused), Err(words)) => {
                assert!(refused.error.message.contains(words), "{:?} says nothing of {words}", refused.error);
                assert_eq!(refused.error.code, "invalid_request");
            }
            (opened, expected) => panic!("{opened:?} in place of {expected:?}"),
        }
    }

    fn request(more: &Value) -> Vec<u8> {
        let mut request = json!({"kind": "fetch_history", "payload": {"owner": "of the payload's own"}});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::to_vec(&request).unwrap()
    }

    #[test]
    fn messages() {
        check(&request(&json!({})), Ok("7"));
        check(&request(&json!({"idempotency_key": "mine", "run_at": 5, "version": 2})), Ok("mine"));
        check(&request(&json!({"owner": "u"})), Err("names its owner"));
        check(&request(&json!({"tier": null})), Err("names its tier"));
        check(&request(&json!({"colour": "red"})), Err("colour"));
        check(b"{\"payload\": {}}", Err("kind"));
        check(b"[]", Err("no task request"));
        check(b"17", Err("no task request"));
        check(b"", Err("no JSON"));
        check(b"\xff\x00{", Err("no JSON"));
        check(&vec![b'['; LARGEST], Err("no JSON"));
        check(&vec![b' '; LARGEST + 1], Err("at most 1048576"));
    }

    #[test]
    fn what_is_refused_is_kept_as_it_came() {
        let open = |text: &[u8]| Message { id: "7".to_owned(), text: text.to_owned() }.open().unwrap_err().raw;
        assert_eq!(open(b"{\"tier\":\"pro\"}"), json!({"tier": "pro"}));
        assert_eq!(open(b"hello \xff"), json!("hello \u{fffd}"));
        assert_eq!(open(&vec![b'a'; LARGEST + 1]).as_str().unwrap().len(), KEPT);
    }
}
