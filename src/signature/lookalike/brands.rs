//! Words by which people know somebody, and whether a label plays with one of them: an index that answers in a time that
//! depends on the label's length alone.

use hashbrown::HashMap;

use super::How;
use super::fold::{fold, seen};

/// Words and whose they are.
#[derive(Debug)]
pub struct Brands<V> {
    words: Vec<Word<V>>,
    by_folded: HashMap<Box<str>, usize>,
    /// Bit n: some folded word has n octets.
    lengths: u64,
    /// Hashes of what is left of a word without one or two of its letters, and the word; sorted.
    near: Vec<(u64, u32)>,
    /// Lures as they are and folded, and whether each is a strong one.
    lures: HashMap<Box<str>, bool>,
}

/// How much a word says alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// Nobody else calls himself so: the word in another's name is a play with it.
    Distinct,
    /// A word of the language, or of few letters: it needs a lure beside it.
    Needy,
}

#[derive(Debug)]
struct Word<V> {
    text: Box<str>,
    folded: Box<str>,
    strength: Strength,
    value: V,
}

impl<V> Brands<V> {
    pub fn new() -> Self {
        let both = |lure: &str, strong| [(lure.into(), strong), (fold(lure).into(), strong)];
        let weak = LURES.iter().flat_map(|lure| both(lure, false));
        let strong = STRONG.iter().flat_map(|lure| both(lure, true));
        let lures = weak.chain(strong).collect();
        Self { words: Vec::new(), by_folded: HashMap::new(), lengths: 0, near: Vec::new(), lures }
    }

    /// Adds a word of a-z, 0-9 and hyphens; the first of equal words stays, and words under [`SHORTEST`] letters are nobody's.
    pub fn insert(&mut self, text: &str, strength: Strength, value: V) {
        let folded = fold(text);
        let few = strength == Strength::Needy && text.len() < NEEDY;
        if text.len() < SHORTEST
            || few
            || folded.len() > LONGEST
            || TRADE.contains(&text)
            || self.by_folded.contains_key(&*folded)
        {
            return;
        }
        let strength =
            if text.len() < DISTINCT || is_trade(text) { Strength::Needy } else { strength };
        self.lengths |= 1 << folded.len();
        self.by_folded.insert(folded.as_str().into(), self.words.len());
        self.words.push(Word { text: text.into(), folded: folded.into(), strength, value });
    }

    /// To be called once, when all words are in.
    pub fn compile(&mut self) {
        let mut near = Vec::new();
        for (at, word) in self.words.iter().enumerate() {
            let Ok(at) = u32::try_from(at) else { break };
            if word.strength == Strength::Distinct {
                let text = word.text.as_bytes();
                without(text, edits(text.len()), |hash| near.push((hash, at)));
            }
        }
        near.sort_unstable();
        near.dedup();
        near.shrink_to_fit();
        self.near = near;
    }

    /// Octets that the index holds.
    pub fn memory(&self) -> usize {
        self.words.len() * (size_of::<Word<V>>() + 3 * 16 + size_of::<usize>() * 4)
            + self.near.len() * size_of::<(u64, u32)>()
    }

    /// The word that a label of somebody else's domain plays with, the longest first.
    pub fn find(&self, label: &str) -> Option<(&str, &V, How)> {
        if label.len() > LABEL {
            return None;
        }
        let label = label.to_ascii_lowercase();
        let seen = seen(&label);
        let (word, how) = self.held(&label, &seen).or_else(|| self.misspelt(&label))?;
        Some((&word.text, &word.value, how))
    }

    /// A word that stands in the label letter by letter, or as it seems.
    fn held(&self, label: &str, seen: &str) -> Option<(&Word<V>, How)> {
        let mut best: Option<(&Word<V>, How)> = None;
        // What stands beside the word is read as it is: digits there are numbers, no letters.
        let beside = if label.len() == seen.len() { label } else { seen };
        for (begin, _) in seen.char_indices() {
            let starts_token = seen.get(..begin).is_none_or(|s| s.is_empty() || s.ends_with('-'));
            let rest = seen.get(begin..).unwrap_or_default();
            for len in 1..=rest.len().min(LONGEST) {
                if self.lengths & (1 << len) == 0 {
                    continue;
                }
                let Some(at) = rest.get(..len).and_then(|part| self.by_folded.get(part)) else {
                    continue;
                };
                let Some(word) = self.words.get(*at) else { continue };
                if best.is_some_and(|(best, _)| best.folded.len() >= word.folded.len()) {
                    continue;
                }
                let after = beside.get(begin + len..).unwrap_or_default();
                let before = beside.get(..begin).unwrap_or_default();
                let token = starts_token && (after.is_empty() || after.starts_with('-'));
                if let Some(how) = self.judge(word, label, before, after, token) {
                    best = Some((word, how));
                }
            }
        }
        best
    }

    fn judge(
        &self,
        word: &Word<V>,
        label: &str,
        before: &str,
        after: &str,
        token: bool,
    ) -> Option<How> {
        let plain = label.contains(&*word.text);
        let whole = before.is_empty() && after.is_empty();
        let long = word.text.len() >= GLUED;
        let lured = || self.lured(before, after);
        let holds = match (word.strength, plain) {
            (Strength::Distinct, true) => {
                let any = || self.lure(before).is_some() && self.lure(after).is_some();
                whole || token || long || (word.text.len() >= DISTINCT && any())
            }
            (Strength::Distinct, false) => whole || token || (long && lured()),
            (Strength::Needy, true) => {
                // Of several: `buy-intercoms-online`.
                let after = after.strip_prefix('s').unwrap_or(after);
                !whole && (lured() || self.lured(before, after))
            }
            (Strength::Needy, false) => whole && long,
        };
        holds.then_some(match (plain, whole) {
            (false, _) => How::Homoglyph,
            (true, true) => How::Ending,
            (true, false) => How::Combined,
        })
    }

    /// A distinct word with a letter too many, too few, wrong or in the wrong place; never the first.
    fn misspelt(&self, label: &str) -> Option<(&Word<V>, How)> {
        if label.starts_with("xn--") {
            return None;
        }
        label.split('-').find_map(|token| {
            self.cores(token).find_map(|core| {
                if core.len() + 2 < GLUED || core.len() > LONGEST + 2 {
                    return None;
                }
                let mut found = None;
                without(core.as_bytes(), edits(core.len() + 1), |hash| {
                    let from = self.near.partition_point(|(h, _)| *h < hash);
                    let rows = self.near.get(from..).unwrap_or_default();
                    let rows = rows.iter().take_while(|(h, _)| *h == hash);
                    let words = rows.filter_map(|(_, at)| self.words.get(*at as usize));
                    found = found.or(words.into_iter().find(|word| is_slip(core, &word.text)));
                });
                found.map(|word| (word, How::Typo))
            })
        })
    }

    /// A token as it is, and without the strong lure before or behind it.
    fn cores<'a>(&'a self, token: &'a str) -> impl Iterator<Item = &'a str> {
        let strong = |part: &str| self.lures.get(&*fold(part)) == Some(&true);
        let halves = token.char_indices().skip(2).filter_map(move |(at, _)| {
            let (head, tail) = token.split_at(at);
            match (strong(head), strong(tail)) {
                (true, _) => Some(tail),
                (false, true) => Some(head),
                (false, false) => None,
            }
        });
        std::iter::once(token).chain(halves)
    }

    /// Lures on both sides, and a strong one among them.
    fn lured(&self, before: &str, after: &str) -> bool {
        matches!((self.lure(before), self.lure(after)), (Some(a), Some(b)) if a || b)
    }

    /// `None` where there is more than lures, numbers and hyphens; whether a strong one is among them. Empty text is a lure.
    fn lure(&self, text: &str) -> Option<bool> {
        // What is the most that leads to each place: nothing, weak lures, a strong one.
        let mut reached = [None; LABEL + 1];
        reached[0] = Some(false);
        for at in 0..text.len() {
            let Some(strong) = reached.get(at).copied().flatten() else { continue };
            let rest = text.get(at..).unwrap_or_default();
            let mut lead = |len: usize, strong: bool| {
                if let Some(next) = reached.get_mut(at + len) {
                    *next = Some(next.unwrap_or(false) || strong);
                }
            };
            if rest.bytes().next().is_some_and(|b| b == b'-' || b.is_ascii_digit()) {
                lead(1, strong);
            }
            for len in 2..=rest.len().min(LONGEST_LURE) {
                if let Some(more) = rest.get(..len).and_then(|part| self.lures.get(part)) {
                    lead(len, strong || *more);
                }
            }
        }
        reached.get(text.len()).copied().flatten()
    }
}

impl<V> Default for Brands<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a word is made of nothing but words of the trade: its vendor shares it with everybody.
fn is_trade(text: &str) -> bool {
    text.is_empty() || TRADE.iter().any(|word| text.strip_prefix(word).is_some_and(is_trade))
}

/// Whether a hand that meant `word` could have typed `core`: one letter off in words of [`GLUED`] letters; in longer ones
/// two that are too many, too few or moved; in the longest any two.
fn is_slip(core: &str, word: &str) -> bool {
    let apart = strsim::osa_distance(core, word);
    let same = |(a, b): &(u8, u8)| a == b;
    let first = core.bytes().zip(word.bytes()).next().is_some_and(|pair| same(&pair));
    let twice = || {
        // Letters that both have, in their order or not: two that were replaced by others are a word of its own.
        let kept = word.chars().filter(|c| core.contains(*c)).count();
        word.len() >= LONG && (word.len() >= LONGER || kept == word.len())
    };
    word.len() >= GLUED && first && (apart == 1 || (apart == 2 && twice()))
}

/// Letters that may differ.
const fn edits(len: usize) -> usize {
    match len {
        0..GLUED => 0,
        GLUED..LONG => 1,
        _ => 2,
    }
}

/// Calls `each` with the hash of the text and of what is left without up to `edits` of its letters.
fn without(text: &[u8], edits: usize, mut each: impl FnMut(u64)) {
    let hash = |first: usize, second: usize| {
        let kept = text.iter().enumerate().filter(|(at, _)| *at != first && *at != second);
        kept.fold(0xcbf2_9ce4_8422_2325_u64, |hash, (_, octet)| {
            (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    let none = text.len();
    each(hash(none, none));
    if edits > 0 {
        for first in 0..text.len() {
            each(hash(first, none));
            for second in (first + 1..text.len()).take_while(|_| edits > 1) {
                each(hash(first, second));
            }
        }
    }
}

/// Octets of a label at most (RFC 1035 section 2.3.4).
const LABEL: usize = 63;

/// Words of fewer letters stand in everything.
const SHORTEST: usize = 4;

/// Letters from which a word can be distinct, and from which it counts in the midst of others and with a letter off.
const DISTINCT: usize = 5;
const GLUED: usize = 7;

/// Letters from which two may be off, and from which they may be any.
const LONG: usize = 10;
const LONGER: usize = 12;

/// Letters of a word of the language, or of a technical domain of the vendor, at least.
const NEEDY: usize = 5;

/// Octets of a folded word at most: longer ones are sentences, and nobody types them.
const LONGEST: usize = 24;

const LONGEST_LURE: usize = 14;

/// What makes a name look as if it were the vendor's own door or machinery: what people expect beside it, as names of phishing
/// and vendors' own show.
const STRONG: &[&str] = &[
    "account",
    "accounts",
    "admin",
    "assets",
    "auth",
    "authenticate",
    "billing",
    "cdn",
    "com",
    "confirm",
    "download",
    "downloads",
    "edge",
    "help",
    "helpdesk",
    "inc",
    "install",
    "installer",
    "internal",
    "invoice",
    "js",
    "lite",
    "login",
    "logon",
    "net",
    "official",
    "online",
    "okta",
    "org",
    "password",
    "portal",
    "recovery",
    "reset",
    "scripts",
    "secure",
    "secured",
    "security",
    "servicedesk",
    "setup",
    "sign",
    "signin",
    "signon",
    "sso",
    "static",
    "support",
    "update",
    "updates",
    "upgrade",
    "verification",
    "verify",
    "verifying",
    "v1",
    "v2",
    "v3",
    "vpn",
    "webmail",
    "widget",
    "wss",
    "www",
];

/// What may stand beside those, and says nothing alone.
const LURES: &[&str] = &[
    "access",
    "agent",
    "api",
    "app",
    "apps",
    "assist",
    "beta",
    "business",
    "buy",
    "call",
    "center",
    "centre",
    "chat",
    "client",
    "cloud",
    "co",
    "connect",
    "console",
    "contact",
    "corp",
    "customer",
    "customers",
    "dashboard",
    "desktop",
    "dev",
    "docs",
    "email",
    "en",
    "enterprise",
    "eu",
    "free",
    "fr",
    "get",
    "global",
    "group",
    "hq",
    "hr",
    "http",
    "https",
    "id",
    "info",
    "io",
    "it",
    "link",
    "live",
    "llc",
    "mail",
    "manage",
    "meeting",
    "mobile",
    "my",
    "office",
    "page",
    "panel",
    "partner",
    "pay",
    "pro",
    "prod",
    "purchase",
    "release",
    "remote",
    "sale",
    "sales",
    "server",
    "service",
    "services",
    "session",
    "shop",
    "signup",
    "site",
    "software",
    "staff",
    "store",
    "sys",
    "system",
    "team",
    "tech",
    "ticket",
    "tickets",
    "trial",
    "uk",
    "us",
    "user",
    "users",
    "web",
    "win",
    "windows",
    "work",
    "workspace",
];

/// Words that every vendor of the field uses for what it does.
const TRADE: &[&str] = &[
    "access",
    "agent",
    "answers",
    "base",
    "bot",
    "call",
    "center",
    "central",
    "channel",
    "chat",
    "client",
    "cloud",
    "community",
    "connect",
    "contact",
    "control",
    "customer",
    "desk",
    "desktop",
    "direct",
    "feedback",
    "forum",
    "help",
    "instant",
    "knowledge",
    "live",
    "manager",
    "meet",
    "monitor",
    "my",
    "online",
    "page",
    "pc",
    "remote",
    "ring",
    "screen",
    "service",
    "site",
    "status",
    "support",
    "survey",
    "system",
    "team",
    "ticket",
    "user",
    "users",
    "web",
];
