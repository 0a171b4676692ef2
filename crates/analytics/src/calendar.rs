//! Calendar effects.
