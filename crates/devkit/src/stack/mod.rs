//! The whole product on free ports.

mod builder;
mod links;
mod running;

pub use builder::StackBuilder;
pub use links::Links;
pub use running::Stack;
