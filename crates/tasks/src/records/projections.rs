//! What is read of a record where not all of it is needed.

use candlemill_shared::job::KINDS;
use candlemill_shared::task::TaskHead;
use mongodb::bson::Document;

/// All of a record but what may be large: of a batch the payload has hundreds of kilobytes, and a list shows 200 records.
pub(crate) fn without_large() -> Document {
    let payload = KINDS.iter().flat_map(|kind| kind.large_payload).map(|member| format!("job.payload.{member}"));
    let result = KINDS.iter().flat_map(|kind| kind.large_result).map(|member| format!("result.{member}"));
    let mut left_out: Document = payload.chain(result).map(|path| (path, 0.into())).collect();
    left_out.insert("children.parts", 0);
    left_out
}

/// What a [`TaskHead`] is read from.
pub(super) fn head() -> Document {
    TaskHead::MEMBERS.iter().map(|member| ((*member).to_owned(), 1.into())).collect()
}
