//! Trading by a rule.
