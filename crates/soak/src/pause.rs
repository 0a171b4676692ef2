//! What the exchange demands when it is called too often.

/// A pause that the exchange demands, in ms on the machine's clock. It begins with the first refused call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Pause {
    /// None was demanded.
    #[default]
    None,
    /// Until this time.
    Until(i64),
    /// So long from its beginning.
    Lasts(i64),
}
