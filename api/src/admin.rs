//! Operators' calls: how queues and workers are, pauses, drains. They are no users: they have a token of their own.

pub mod drain;
pub mod operator;
pub mod pause;
pub mod queues;
pub mod schedules;
pub mod tasks;
pub mod token;
pub mod verify;
mod view;
