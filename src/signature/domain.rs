//! Longest suffix wins: which of many domain names a host name equals or lies below.

use hashbrown::HashMap;

/// Labels of a catalogued name at most. The longest that vendors document have six; a name with more labels costs no more
/// than one with this many.
pub const MAX_LABELS: usize = 10;

/// Octets of a name at most, as it is written (RFC 1035 section 2.3.4 allows 255 on the wire).
pub const MAX_OCTETS: usize = 255;

/// The last labels of a host name, lower-cased once, ready for look-ups. Lives on the stack.
pub struct Name {
    octets: [u8; MAX_OCTETS],
    len: usize,
    /// Where each label begins in `octets`, leftmost first; the first `labels` are set.
    starts: [u8; MAX_LABELS + 1],
    labels: usize,
    /// The leftmost label held is the leftmost label of the name.
    whole: bool,
}

impl Name {
    /// `None` for what is no host name: empty, over [`MAX_OCTETS`], or with an empty label among those looked at. One
    /// trailing dot (the root, RFC 1034 section 3.1) is ignored.
    pub fn new(host: &str) -> Option<Self> {
        if host.len() > MAX_OCTETS {
            return None;
        }
        let host = host.as_bytes();
        let host = host.strip_suffix(b".").unwrap_or(host);
        let mut ends = [0u8; MAX_LABELS + 1];
        let mut labels = 0;
        let mut end = host.len();
        let mut whole = false;
        for slot in &mut ends {
            let head = host.get(..end)?;
            let dot = head.iter().rposition(|b| *b == b'.');
            let start = dot.map_or(0, |d| d + 1);
            if start == end {
                return None;
            }
            *slot = u8::try_from(start).ok()?;
            labels += 1;
            match dot {
                Some(d) => end = d,
                None => {
                    whole = true;
                    break;
                }
            }
        }
        let from = *ends.get(labels - 1)?;
        let mut starts = [0u8; MAX_LABELS + 1];
        for (to, at) in starts.iter_mut().zip(ends.iter().take(labels).rev()) {
            *to = at - from;
        }
        let held = host.get(usize::from(from)..)?;
        let mut octets = [0u8; MAX_OCTETS];
        for (to, byte) in octets.iter_mut().zip(held) {
            *to = byte.to_ascii_lowercase();
        }
        Some(Self { octets, len: held.len(), starts, labels, whole })
    }

    /// The name from its label `index` (0 is the leftmost held) to its end.
    fn tail(&self, index: usize) -> Option<&[u8]> {
        let start = self.starts.get(..self.labels)?.get(index)?;
        self.octets.get(usize::from(*start)..self.len)
    }

    fn label(&self, index: usize) -> Option<&[u8]> {
        self.tail(index)?.split(|b| *b == b'.').next()
    }
}

/// The domain that was registered below a public suffix, in lower case: `example.co.uk` of `www.Example.co.uk`. `None` for
/// addresses, single labels, public suffixes themselves and names below a suffix that the list does not know.
pub fn registrable(host: &str) -> Option<String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host.len() > MAX_OCTETS || host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let domain = psl::domain(host.as_bytes())?;
    domain.suffix().is_known().then(|| String::from_utf8_lossy(domain.as_bytes()).into_owned())
}

/// Names and what each stands for, as suffix (the name and all below it) or exact (the name alone).
#[derive(Debug)]
pub struct Suffixes<V> {
    slots: HashMap<Box<[u8]>, Slot<V>>,
    /// Labels of the deepest name: longer candidates are not looked up.
    deepest: usize,
}

impl<V> Suffixes<V> {
    pub fn new() -> Self {
        Self { slots: HashMap::new(), deepest: 0 }
    }

    /// Adds a lower-case name of at most [`MAX_LABELS`] labels. Returns what stood there before, if anything.
    pub fn insert(&mut self, name: &str, exact: bool, value: V) -> Option<V> {
        self.place(name, exact).replace(value)
    }

    /// Where the value of a name is put.
    pub fn place(&mut self, name: &str, exact: bool) -> &mut Option<V> {
        self.deepest = self.deepest.max(name.split('.').count());
        let slot = self.slots.entry(name.as_bytes().into()).or_default();
        if exact { &mut slot.exact } else { &mut slot.suffix }
    }

    /// The exact name if it is there, else the longest suffix. Allocates nothing.
    pub fn find<'a>(&'a self, name: &'a Name) -> Option<Hit<'a, V>> {
        self.all(name).next()
    }

    /// Everything that claims the name, winner first.
    pub fn all<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = Hit<'a, V>> {
        let longest = name.labels.saturating_sub(self.deepest);
        (longest..name.labels)
            .flat_map(move |index| self.at(name, index).into_iter().flatten().flatten())
    }

    /// Exact names that the host lies below, longest first: they do not claim it.
    pub fn missed<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a V> {
        (0..name.labels).filter_map(move |index| {
            let below = index > 0 || !name.whole;
            self.slots.get(name.tail(index)?)?.exact.as_ref().filter(|_| below)
        })
    }

    fn at<'a>(&'a self, name: &'a Name, index: usize) -> Option<[Option<Hit<'a, V>>; 2]> {
        let apex = index == 0 && name.whole;
        if index == 0 && !name.whole {
            // One label more than any catalogued name has is held, for the tenant alone.
            return None;
        }
        let slot = self.slots.get(name.tail(index)?)?;
        let label = index.checked_sub(1).and_then(|i| name.label(i));
        let exact = slot.exact.as_ref().filter(|_| apex);
        Some([
            exact.map(|value| Hit { value, label: None }),
            slot.suffix.as_ref().map(|value| Hit { value, label }),
        ])
    }
}

impl<V> Default for Suffixes<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// What claims a name.
#[derive(Debug, PartialEq, Eq)]
pub struct Hit<'a, V> {
    pub value: &'a V,
    /// The label just before the suffix, lower case; `None` where the name is the suffix itself.
    pub label: Option<&'a [u8]>,
}

#[derive(Debug)]
struct Slot<V> {
    exact: Option<V>,
    suffix: Option<V>,
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        Self { exact: None, suffix: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(names: &[(&'static str, bool)]) -> Suffixes<(&'static str, bool)> {
        let mut table = Suffixes::new();
        for (name, exact) in names {
            table.insert(name, *exact, (*name, *exact));
        }
        table
    }

    fn found(table: &Suffixes<(&'static str, bool)>, host: &str) -> Option<(String, String)> {
        let name = Name::new(host)?;
        let hit = table.find(&name)?;
        let label = hit.label.map_or(String::new(), |l| String::from_utf8_lossy(l).into_owned());
        Some((hit.value.0.to_owned(), label))
    }

    fn pair(a: &str, b: &str) -> Option<(String, String)> {
        Some((a.to_owned(), b.to_owned()))
    }

    #[test]
    fn the_longest_suffix_wins() {
        let t = table(&[("zendesk.com", false), ("www.zendesk.com", false)]);
        assert_eq!(found(&t, "Acme.ZenDesk.com."), pair("zendesk.com", "acme"));
        assert_eq!(found(&t, "www.zendesk.com"), pair("www.zendesk.com", ""));
        assert_eq!(found(&t, "a.www.zendesk.com"), pair("www.zendesk.com", "a"));
        assert_eq!(found(&t, "zendesk.com"), pair("zendesk.com", ""));
        let hosts = ["notzendesk.com", "zendesk.com.evil.example", "zendesk", "com", "zendesk-com"];
        for host in hosts {
            assert_eq!(found(&t, host), None, "{host}");
        }
    }

    #[test]
    fn an_exact_name_does_not_claim_what_lies_below() {
        let t = table(&[("a.example", true), ("example", false)]);
        assert_eq!(found(&t, "a.example"), pair("a.example", ""));
        assert_eq!(found(&t, "b.a.example"), pair("example", "a"));
        let name = Name::new("b.a.example").unwrap();
        assert_eq!(t.missed(&name).collect::<Vec<_>>(), [&("a.example", true)]);
        assert_eq!(t.missed(&Name::new("a.example").unwrap()).count(), 0);
    }

    #[test]
    fn what_is_no_name_is_nobodys() {
        let t = table(&[("zendesk.com", false)]);
        for host in
            ["", ".", "..", ".zendesk.com", "a..zendesk.com", "zendesk.com..", "zendesk..com"]
        {
            assert_eq!(found(&t, host), None, "{host}");
        }
        let long = format!("{}.zendesk.com", "a".repeat(MAX_OCTETS - 12));
        assert_eq!(long.len(), MAX_OCTETS);
        assert!(found(&t, &long).is_some());
        assert_eq!(found(&t, &format!("a{long}")), None);
    }

    #[test]
    fn many_labels_keep_the_last() {
        let deep = "1.2.3.4.5.6.7.8.9.example";
        assert_eq!(deep.split('.').count(), MAX_LABELS);
        let t = table(&[("1.2.3.4.5.6.7.8.9.example", false), ("example", false)]);
        assert_eq!(found(&t, deep), pair(deep, ""));
        assert_eq!(found(&t, &format!("x.{deep}")), pair(deep, "x"));
        assert_eq!(found(&t, &format!("{}x.{deep}", "y.".repeat(100))), pair(deep, "x"));
        assert_eq!(found(&t, &format!("{}example", "a.".repeat(119))), pair("example", "a"));
    }

    /// The rule in its plainest form: of all names that equal the host or stand after a dot at its end, the longest.
    fn naive(names: &[(String, bool)], host: &str) -> Option<(String, bool, Option<String>)> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if host.split('.').any(str::is_empty) {
            return None;
        }
        names
            .iter()
            .filter(|(n, exact)| host == *n || (!exact && host.ends_with(&format!(".{n}"))))
            .max_by_key(|(n, exact)| (n.len(), *exact))
            .map(|(n, exact)| {
                let rest = host.strip_suffix(n.as_str()).unwrap().strip_suffix('.');
                (n.clone(), *exact, rest.map(|r| r.rsplit('.').next().unwrap().to_owned()))
            })
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_search(
            names in prop::collection::vec(("([ab]\\.){0,4}[ab]", any::<bool>()), 0..12),
            host in "([abA]\\.|\\.?){0,9}[abB]\\.?",
        ) {
            let mut table = Suffixes::new();
            for (name, exact) in &names {
                table.insert(name, *exact, (name.clone(), *exact));
            }
            let name = Name::new(&host);
            let got = name.as_ref().and_then(|n| table.find(n)).map(|hit| {
                let label = hit.label.map(|l| String::from_utf8(l.to_vec()).unwrap());
                (hit.value.0.clone(), hit.value.1, label)
            });
            prop_assert_eq!(got, naive(&names, &host));
        }

        #[test]
        fn any_text_is_safe(host in "\\PC{0,300}") {
            let t = table(&[("example", false), ("a.example", true)]);
            let _ = found(&t, &host);
            let _ = found(&t, &format!("{host}.example"));
        }
    }
}
