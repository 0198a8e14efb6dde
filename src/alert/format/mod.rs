//! Formats: how an event becomes text; one file each, and the table that lists them.

pub mod json;

use super::event::Event;

/// One row of [`FORMATS`].
#[derive(Debug)]
pub struct Format {
    /// As the configuration names it.
    pub name: &'static str,
    /// The event in one line of at most so many octets: lists are cut first.
    pub render: fn(&Event, usize) -> String,
}

pub static FORMATS: &[Format] = &[json::FORMAT];

impl Format {
    pub fn by_name(name: &str) -> Option<&'static Self> {
        FORMATS.iter().find(|f| f.name == name)
    }
}
