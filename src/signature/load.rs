//! From files to a catalogue: the embedded ones, the folders of `signatures.dirs`, and what files must not do to each
//! other.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::check::{self, Entry, Text};
use super::rule::{Kind, Match};
use super::{example, lint as judge};
use crate::fault::{Fault, Faults};

/// The shipped catalogue: `(path, text)` of each file of `signatures/`.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/signatures.rs"));

/// Faults told at once: more scroll away unread.
const MAX_FAULTS: usize = 50;

/// Octets of a catalogue in memory for each octet of its files, generously: the text while it is read, sources, and names
/// twice (in the match and in the table).
const SPREAD: u64 = 3;

/// `[signatures]`.
#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Folders of own signatures, laid out as the shipped ones (`<category>/<id>.toml`; or `<id>.toml` without folders).
    /// They add vendors, or replace a shipped one of the same id. A later folder replaces an earlier one's.
    pub dirs: Vec<PathBuf>,
    /// Octets of all files of one folder together, at most: a mistaken path does not fill the memory.
    pub max_octets: u64,
    /// Look for titles and texts of products in the first KiB of pages over plain HTTP.
    pub page_marks: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { dirs: Vec::new(), max_octets: 4 << 20, page_marks: false }
    }
}

impl Options {
    /// Octets that the catalogue holds at most: twice, because a new one is loaded beside the one in use.
    pub fn memory(&self) -> u64 {
        let shipped: usize = EMBEDDED.iter().map(|(path, text)| path.len() + text.len()).sum();
        let dirs = u64::try_from(self.dirs.len()).unwrap_or(u64::MAX);
        let own = self.max_octets.saturating_mul(dirs);
        (shipped as u64).saturating_add(own).saturating_mul(2 * SPREAD)
    }
}

impl Catalog {
    /// The shipped catalogue and the folders of `options`.
    ///
    /// # Errors
    /// Everything that is wrong with any file, at most 50 faults, each with file, line and remedy.
    pub fn load(options: &Options) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut sources = vec![embedded()];
        for dir in &options.dirs {
            sources.push(folder(dir, options.max_octets, &mut faults));
        }
        let mut catalog = build(&sources, faults)?;
        if options.page_marks {
            catalog.look_into_pages();
        }
        Ok(catalog)
    }

    /// The shipped catalogue alone.
    ///
    /// # Errors
    /// As [`Catalog::load`]; the test run keeps it from happening.
    pub fn embedded() -> Result<Self, Faults> {
        build(&[embedded()], Vec::new())
    }

    /// A folder alone, laid out as the shipped catalogue. Its examples are not tried: they may name vendors of another folder.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub fn folder(dir: &Path, options: &Options) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let source = Source { own: false, ..folder(dir, options.max_octets, &mut faults) };
        assemble(&[source], faults)
    }

    /// A catalogue of `(path, text)` alone, laid out as the shipped one: for tests and tools.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub fn load_texts(texts: &[(&str, &str)]) -> Result<Self, Faults> {
        let files = texts.iter().map(|(path, text)| File::new(path, path, (*text).to_owned()));
        build(&[Source { files: files.collect(), own: false }], Vec::new())
    }
}

/// What is amiss in files that load: of `dir` beside the shipped ones, or of everything that `options` name.
///
/// # Errors
/// As [`Catalog::load`], where something does not load.
pub fn lint(options: &Options, dir: Option<&Path>) -> Result<Faults, Faults> {
    let mut faults = Vec::new();
    let mut sources = vec![embedded()];
    for dir in
        dir.map_or_else(|| options.dirs.iter().map(PathBuf::as_path).collect(), |dir| vec![dir])
    {
        sources.push(folder(dir, options.max_octets, &mut faults));
    }
    let catalog = build(&sources, faults)?;
    let files = || sources.iter().flat_map(|source| &source.files);
    let texts: HashMap<&str, &str> = files().map(|f| (f.shown.as_str(), f.text.as_str())).collect();
    let asked = catalog.entries().iter().filter(|entry| dir.is_none() || entry.own);
    let amiss = asked.flat_map(|entry| {
        let text = texts.get(&*entry.file).copied().unwrap_or_default();
        judge::vendor(&catalog, entry, text)
    });
    Ok(Faults(amiss.collect()))
}

/// Files of one origin. Within one, an id is unique; a later one replaces an earlier one's.
struct Source {
    files: Vec<File>,
    own: bool,
}

struct File {
    /// As it is shown in faults.
    shown: String,
    folder: Option<String>,
    stem: String,
    text: String,
}

impl File {
    /// `path` is relative to the root of its origin, or has the root as its first component.
    fn new(shown: &str, path: &str, text: String) -> Self {
        let path = Path::new(path);
        let folder = path.parent().and_then(Path::file_name);
        let folder = folder.map(|f| f.to_string_lossy().into_owned());
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        Self { shown: shown.to_owned(), folder, stem, text }
    }
}

fn embedded() -> Source {
    let files = EMBEDDED.iter().map(|(path, text)| File::new(path, path, (*text).to_owned()));
    Source { files: files.collect(), own: false }
}

/// Reads `*.toml` of a folder and of the folders in it, in the order of their names.
fn folder(dir: &Path, max_octets: u64, faults: &mut Vec<Fault>) -> Source {
    let mut left = max_octets;
    let mut files = Vec::new();
    for path in listed(dir, faults) {
        if path.is_dir() {
            for path in listed(&path, faults) {
                files.extend(file(dir, &path, &mut left, faults));
            }
        } else {
            files.extend(file(dir, &path, &mut left, faults));
        }
    }
    Source { files, own: true }
}

fn listed(dir: &Path, faults: &mut Vec<Fault>) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(dir).and_then(|entries| entries.map(|e| Ok(e?.path())).collect());
    entries.unwrap_or_else(|error| {
        let mend = "mend signatures.dirs, or the folder's permissions";
        faults.push(Fault::new(dir.to_string_lossy(), format!("cannot be read: {error}"), mend));
        BTreeSet::new()
    })
}

fn file(root: &Path, path: &Path, left: &mut u64, faults: &mut Vec<Fault>) -> Option<File> {
    if path.extension().is_none_or(|e| e != "toml") {
        return None;
    }
    let shown = path.to_string_lossy();
    let fault = |what: String, mend: &str| Fault::new(shown.clone(), what, mend);
    let size = fs::metadata(path).map_or(0, |m| m.len());
    if size > *left {
        let what = "the files of this folder exceed signatures.max_octets".to_owned();
        faults.push(fault(what, "raise signatures.max_octets, or mend signatures.dirs"));
        return None;
    }
    *left -= size;
    match fs::read_to_string(path) {
        Ok(text) => {
            let inner = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
            Some(File::new(&shown, &inner, text))
        }
        Err(error) => {
            let mend = "make it a readable file of UTF-8 text";
            faults.push(fault(format!("cannot be read: {error}"), mend));
            None
        }
    }
}

fn build(sources: &[Source], faults: Vec<Fault>) -> Result<Catalog, Faults> {
    let catalog = assemble(sources, faults)?;
    let mut faults = Vec::new();
    examples(&catalog, &mut faults);
    if faults.is_empty() { Ok(catalog) } else { Err(bounded(faults)) }
}

/// Everything but the examples.
fn assemble(sources: &[Source], mut faults: Vec<Fault>) -> Result<Catalog, Faults> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut by_id: HashMap<String, (usize, usize)> = HashMap::new();
    for (origin, source) in sources.iter().enumerate() {
        for file in &source.files {
            let text = Text {
                file: &file.shown,
                text: &file.text,
                folder: file.folder.as_deref(),
                stem: &file.stem,
                own: source.own,
            };
            let Some(entry) = check::read(&text, &mut faults) else { continue };
            match by_id.get(&*entry.vendor.id) {
                Some((from, place)) if *from == origin => {
                    let other = entries.get(*place).map_or("", |e| &e.file);
                    let what = format!("id {:?} is also that of {other}", &*entry.vendor.id);
                    faults.push(Fault::new(&*entry.file, what, "give one of them another id"));
                }
                Some((_, place)) => {
                    let place = *place;
                    by_id.insert(entry.vendor.id.to_string(), (origin, place));
                    if let Some(old) = entries.get_mut(place) {
                        *old = entry;
                    }
                }
                None => {
                    by_id.insert(entry.vendor.id.to_string(), (origin, entries.len()));
                    entries.push(entry);
                }
            }
        }
    }
    entries.sort_by(|a, b| a.vendor.id.cmp(&b.vendor.id));
    claims(&entries, &mut faults);
    let texts = sources.iter().flat_map(|s| &s.files).map(|f| (f.shown.as_str(), f.text.as_str()));
    let catalog = Catalog::new(entries, texts);
    if faults.is_empty() { Ok(catalog) } else { Err(bounded(faults)) }
}

/// No name of a kind is claimed twice.
fn claims(entries: &[Entry], faults: &mut Vec<Fault>) {
    let mut seen: HashMap<(Kind, &str), Vec<(&Entry, &Match)>> = HashMap::new();
    // Shipped ones first: a person is told of the file that can be mended.
    for entry in entries.iter().filter(|e| !e.own).chain(entries.iter().filter(|e| e.own)) {
        for rule in &entry.matches {
            let others = seen.entry((rule.kind, &rule.value)).or_default();
            let rival = others.iter().find(|(e, m)| {
                // One vendor may say of its front page, or of some labels, something else than of what lies below.
                let apart = m.exact != rule.exact
                    || m.labels != rule.labels
                    || (m.ports != rule.ports && m.ports.iter().all(|p| !rule.ports.contains(p)));
                e.vendor.id != entry.vendor.id || !apart
            });
            if let Some((first, at)) = rival {
                let what = format!(
                    "{} {:?} is also claimed by {}:{}",
                    rule.kind, &*rule.value, first.file, at.line
                );
                let mend = "keep it in one file; the other may claim a longer name";
                faults.push(Fault::new(&*entry.file, what, mend).at_line(rule.line));
            }
            others.push((entry, rule));
        }
    }
}

/// Each example of each file gives what the file says.
fn examples(catalog: &Catalog, faults: &mut Vec<Fault>) {
    for entry in catalog.entries() {
        for example in &entry.examples {
            if let Some(what) = example::failure(catalog, entry, example) {
                let mend = "mend the match that decides (saastap explain shows it), or the example";
                faults.push(Fault::new(&*entry.file, what, mend).at_line(example.line));
            }
        }
    }
}

fn bounded(mut faults: Vec<Fault>) -> Faults {
    let more = faults.len().saturating_sub(MAX_FAULTS);
    if more > 0 {
        faults.truncate(MAX_FAULTS);
        let what = format!("{more} further faults are not shown");
        faults.push(Fault::new("signatures", what, "mend these first"));
    }
    Faults(faults)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ZENDESK, sheet};
    use super::super::{Role, TenantVisibility};
    use super::*;

    const PATH: &str = "signatures/helpdesk/zendesk.toml";

    fn refused(texts: &[(&str, &str)]) -> String {
        Catalog::load_texts(texts).unwrap_err().to_string()
    }

    /// The fault of a sheet in which `from` is `to`.
    fn altered(from: &str, to: &str) -> String {
        assert!(ZENDESK.contains(from), "{from}");
        refused(&[(PATH, &ZENDESK.replacen(from, to, 1))])
    }

    #[test]
    fn the_shipped_catalogue_is_right() {
        let catalog = Catalog::embedded().unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(catalog.vendors().len(), EMBEDDED.len());
    }

    #[test]
    fn a_good_sheet_loads() {
        let catalog = Catalog::load_texts(&[(PATH, ZENDESK)]).unwrap();
        let vendor = catalog.vendor("zendesk").unwrap();
        assert_eq!(vendor.tenant_visibility, TenantVisibility::Name);
        assert!(vendor.is_in("helpdesk"));
        let verdict = catalog.host("Acme.Zendesk.com.").unwrap();
        assert_eq!((verdict.role, verdict.tenant.as_deref()), (Role::Either, Some("acme")));
        assert!(verdict.ambiguous);
        assert_eq!(&*verdict.signature, "zendesk.com");
        assert!(catalog.host("zendesk.com.login.example").is_none());
        let vanity = catalog.cname("acme.zendesk.com").unwrap();
        assert_eq!((vanity.role, vanity.tenant.as_deref()), (Role::Portal, Some("acme")));
        assert!(catalog.cname("x.zdassets.com").is_some());
        assert_eq!(catalog.version(), Catalog::load_texts(&[(PATH, ZENDESK)]).unwrap().version());
    }

    #[test]
    fn form_faults_name_line_and_remedy() {
        let got = altered("ambiguous = true", "ambigous = true");
        assert!(got.starts_with("signatures/helpdesk/zendesk.toml:10: unknown field"), "{got}");
        assert!(got.contains("mend: remove the key"), "{got}");
        let got = altered("ambiguous = true", "ambiguous = \"yes\"");
        assert!(got.contains("zendesk.toml:10: invalid type: string \"yes\""), "{got}");
        let got = altered("\"either\"", "\"agents\"");
        assert!(
            got.contains("toml:9: unknown variant `agents`, expected one of `console`"),
            "{got}"
        );
        let got = altered("name = \"Zendesk\"\n", "");
        assert!(got.contains("missing field `name`"), "{got}");
        let got = altered("expect = \"none\"", "expect = \"nobody\"");
        assert!(got.contains("invalid value: string \"nobody\", expected \"none\" or"), "{got}");
        assert!(refused(&[(PATH, " \n")]).contains("the file is empty"));
        assert!(refused(&[(PATH, "= nonsense")]).contains("zendesk.toml:1: "));
    }

    #[test]
    fn names_are_judged() {
        for (name, what) in [
            ("co.uk", "\"co.uk\" is a public suffix"),
            ("com", "is a single label"),
            ("github.io", "is a public suffix: each label below it is another's"),
            ("*.zdassets.com", "has a wildcard"),
            ("ZDassets.com", "has upper-case"),
            ("zdassets.com.", "ends with a dot"),
            ("https://zdassets.com", "is an address"),
            ("zd_assets..com", "is no host name"),
            ("zdässets.com", "is not ASCII"),
            ("192.0.2.1", "is an IP address"),
            ("a.b.c.d.e.f.g.h.i.j.example", "is too long"),
        ] {
            let got = altered("\"zdassets.com\"", &format!("{name:?}"));
            assert!(got.contains("zendesk.toml:16: ") && got.contains(what), "{name}: {got}");
        }
        // The vendor's own entry of the list's private section, with a tenant below it.
        let shop = ZENDESK.replace("domain = \"zendesk.com\"", "domain = \"myshopify.com\"");
        let shop = shop.replace("acme.zendesk.com", "acme.myshopify.com");
        let shop = shop.replace("www.zendesk.com", "www.myshopify.com");
        Catalog::load_texts(&[(PATH, &shop)]).unwrap_or_else(|faults| panic!("{faults}"));
    }

    #[test]
    fn what_is_missing_or_contradictory_is_told() {
        for (from, to, what) in [
            ("id = \"zendesk\"", "id = \"zen\"", "toml:1: id \"zen\" is not the file's name"),
            ("[\"helpdesk\"", "[\"live-chat\"", "toml:3: the first category is \"live-chat\""),
            ("source = \"csp\"\n", "", "match \"zdassets.com\" has no source"),
            ("source = \"csp\"", "source = \" \"", "match \"zdassets.com\" has no source"),
            ("role = \"widget\"\n", "", "match \"zdassets.com\" has no role"),
            (
                "domain = \"zdassets.com\"",
                "ja4 = \"t13\"",
                "zendesk.toml:16: ja4 \"t13\" is no JA4",
            ),
            ("domain = \"zdassets.com\"", "port = 443", "a port alone decides nothing"),
            ("domain = \"zdassets.com\"", "", "the match says not what it looks at"),
            ("role = \"widget\"", "role = \"widget\"\nmx = \"a.example\"", "more than one kind"),
            (
                "role = \"widget\"",
                "role = \"widget\"\nreserved = [\"a\"]",
                "reserved without tenant",
            ),
            ("\"ekr\"", "\"a.b\"", "label \"a.b\" is no"),
            ("expect = \"none\"", "expect = { role = \"either\" }", "must not find"),
            ("homepage", "tenant_visibility = \"none\"\nhomepage", "but a match has a tenant"),
            ("homepage", "ordinary_inside = true\nhomepage", "of remote assistance alone"),
        ] {
            let got = altered(from, to);
            assert!(got.contains(what), "{what}: {got}");
        }
    }

    #[test]
    fn a_failing_example_says_what_came() {
        let got = altered("tenant = \"acme\" }", "tenant = \"acm\" }");
        let want = "expected zendesk as either, tenant \"acm\", ambiguous, got zendesk as either, \
                    tenant \"acme\", ambiguous";
        assert!(got.contains(want), "{got}");
        let got = altered("host = \"zendesk.com.login.example\"", "host = \"a.zdassets.com\"");
        assert!(got.contains("expected none, got zendesk as widget, no tenant"), "{got}");
    }

    #[test]
    fn two_vendors_may_not_claim_one_name() {
        let other = sheet("rival", "zdassets.com");
        let got = refused(&[(PATH, ZENDESK), ("signatures/helpdesk/rival.toml", &other)]);
        assert!(
            got.contains("zendesk.toml:15: domain \"zdassets.com\" is also claimed by"),
            "{got}"
        );
        assert!(got.contains("signatures/helpdesk/rival.toml:6"), "{got}");
        // A longer name below another vendor's is no conflict.
        let other = sheet("rival", "deep.zdassets.com");
        let good = [(PATH, ZENDESK), ("signatures/helpdesk/rival.toml", &other)];
        let catalog = Catalog::load_texts(&good).unwrap();
        assert_eq!(&*catalog.host("a.deep.zdassets.com").unwrap().vendor.id, "rival");
        let same = refused(&[(PATH, ZENDESK), ("b/zendesk.toml", ZENDESK)]);
        assert!(same.contains("id \"zendesk\" is also that of signatures/helpdesk"), "{same}");
    }

    #[test]
    fn some_labels_may_have_a_match_of_their_own() {
        let relay = "[[match]]\ndomain = \"zendesk.com\"\nlabels = [\"pod-*\", \"*-relay\"]\n\
                     role = \"relay\"\nsource = \"here\"\n";
        for text in [
            format!("{ZENDESK}{relay}"),
            ZENDESK.replacen("[[match]]", &format!("{relay}[[match]]"), 1),
        ] {
            let catalog = Catalog::load_texts(&[(PATH, &text)]).unwrap_or_else(|f| panic!("{f}"));
            let role = |host| catalog.host(host).map(|v| (v.role, v.tenant.is_some()));
            assert_eq!(role("pod-17.zendesk.com"), Some((Role::Relay, false)));
            assert_eq!(role("x.a-relay.zendesk.com"), Some((Role::Relay, false)));
            assert_eq!(role("relay1.zendesk.com"), Some((Role::Either, true)));
            assert_eq!(role("zendesk.com"), Some((Role::Marketing, false)));
        }
        // Alone, it leaves other labels to whoever claims a shorter name, here nobody.
        let alone = sheet("lone", "lone.example")
            .replace("role = \"console\"\ns", "labels = [\"a\"]\nrole = \"console\"\ns");
        let catalog = Catalog::load_texts(&[("helpdesk/lone.toml", &alone)]).unwrap();
        assert!(catalog.host("a.lone.example").is_some());
        assert!(catalog.host("b.lone.example").is_none() && catalog.host("lone.example").is_none());
        let got = refused(&[(PATH, &format!("{ZENDESK}{relay}{relay}"))]);
        assert!(got.contains("is also claimed by signatures/helpdesk/zendesk.toml:"), "{got}");
    }

    #[test]
    fn all_faults_of_all_files_are_told_but_not_without_end() {
        let bad: Vec<(String, String)> =
            (0..80).map(|i| (format!("helpdesk/v{i}.toml"), "x = 1".to_owned())).collect();
        let texts: Vec<(&str, &str)> = bad.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let faults = Catalog::load_texts(&texts).unwrap_err();
        assert_eq!(faults.0.len(), MAX_FAULTS + 1);
        assert!(faults.to_string().contains("30 further faults"));
    }

    #[test]
    fn own_folders_add_and_override() {
        let shipped = Source { files: vec![File::new(PATH, PATH, ZENDESK.into())], own: false };
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("helpdesk")).unwrap();
        let own = sheet("zendesk", "zendesk.example");
        fs::write(dir.path().join("helpdesk/zendesk.toml"), own).unwrap();
        fs::write(dir.path().join("mine.toml"), sheet("mine", "mine.example")).unwrap();
        fs::write(dir.path().join("notes.txt"), "no signature").unwrap();
        let mut faults = Vec::new();
        let source = folder(dir.path(), 10_000, &mut faults);
        let catalog = build(&[shipped, source], faults).unwrap();
        assert!(catalog.host("acme.zendesk.com").is_none());
        assert_eq!(&*catalog.host("a.zendesk.example").unwrap().vendor.id, "zendesk");
        assert!(catalog.host("mine.example").is_some());

        let mut faults = Vec::new();
        folder(dir.path(), 10, &mut faults);
        assert!(faults.iter().any(|f| f.what.contains("signatures.max_octets")));
        let gone = Options { dirs: vec![dir.path().join("gone")], ..Options::default() };
        let got = Catalog::load(&gone).unwrap_err().to_string();
        assert!(got.contains("gone: cannot be read"), "{got}");
    }

    #[test]
    fn an_own_file_may_claim_what_a_shipped_one_disclaims() {
        let shipped = Source { files: vec![File::new(PATH, PATH, ZENDESK.into())], own: false };
        let text = sheet("mine", "login.example");
        let own = Source { files: vec![File::new("mine.toml", "mine.toml", text)], own: true };
        build(&[shipped, own], Vec::new()).unwrap_or_else(|faults| panic!("{faults}"));
    }
}
