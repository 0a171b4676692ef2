//! Statistics for which no kept library exists.

pub(crate) mod block_length;
pub(crate) mod bootstrap;
pub(crate) mod buckets;
pub(crate) mod groups;
pub(crate) mod hac;
pub(crate) mod multiple;
pub(crate) mod quantile;
pub(crate) mod wald;
