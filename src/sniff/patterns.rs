//! What signatures look for in bytes, compiled for the workers: a sniffer answers with the number of a pattern, never with
//! the bytes that matched.

/// A snapshot of all patterns of a catalogue.
#[derive(Debug, Default)]
pub struct Patterns {}

impl Patterns {
    /// Looks for nothing.
    pub const NONE: Self = Self {};
}
