//! JSON as answers have it.

use serde::Serialize;

/// The JSON text of `value` and a line feed, so that a terminal shows its prompt on a line of its own.
///
/// # Errors
/// When it has no JSON form.
pub(crate) fn json_line(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
