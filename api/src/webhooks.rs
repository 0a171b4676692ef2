//! Webhooks: where the owner of a task wants to hear that it has ended.

pub mod secret;
