//! Webhooks: where the owner of a task wants to hear that it has ended.

pub mod secret;
mod view;
mod wanted;

pub use view::WebhookView;
pub use wanted::WebhookRequest;
