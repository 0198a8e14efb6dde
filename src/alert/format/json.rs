//! JSON in one line: the event as it is, with snake_case keys, and nested objects where several belong together.

use super::{Format, JSON, fit};
use crate::alert::event::Event;

pub const FORMAT: Format = Format { name: "json", media: JSON, least: 2_432, render };

/// At most `max` octets, and JSON whatever was cut.
pub fn render(event: &Event, max: usize) -> String {
    fit(event, max, to_text)
}

fn to_text(event: &Event) -> String {
    // Nothing in an event can fail to serialise: its only map has text for keys.
    serde_json::to_string(event).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::alert::case::tests::raised;

    #[test]
    fn fits_every_bound_and_stays_json() {
        let event = raised(5, 20).event;
        let whole = render(&event, usize::MAX);
        assert!(!whole.contains("truncated"));
        assert!(whole.is_ascii() && !whole.contains('\n'));
        let least = render(&event, 0).len();
        for max in least..=whole.len() {
            let text = render(&event, max);
            assert!(text.len() <= max, "{max}");
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["finding"]["id"], "unsanctioned_use");
            assert_eq!(value["clients"]["count"], 20, "the count is never cut");
            assert_eq!(value["truncated"].is_null(), text == whole);
        }
    }
}
