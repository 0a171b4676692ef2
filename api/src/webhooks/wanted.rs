//! The webhook that a request asks for.

use serde::Deserialize;
use utoipa::ToSchema;

/// Who is told when the task has ended.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// Where a signed POST goes: an `https` URL of a public host, at most 2,048 bytes, without user name and fragment.
    #[schema(example = "https://example.com/hooks/candles")]
    pub url: String,
}
