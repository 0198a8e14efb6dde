//! What files of leases say, and what is said of each mistake in them.

use std::fs;

use super::*;

const DAY: u64 = 1_793_577_600;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn options(&self, texts: &[&str]) -> Options {
        let file = |(n, text): (usize, &&str)| {
            let path = self.0.path().join(format!("{n}.csv"));
            fs::write(&path, text).unwrap();
            path
        };
        Options { files: texts.iter().enumerate().map(file).collect(), ..Options::default() }
    }

    fn read(&self, texts: &[&str]) -> Result<LeaseFile, String> {
        read(&self.options(texts)).map_err(|refused| self.shown(&refused))
    }

    fn shown(&self, refused: &Refused) -> String {
        refused.faults().to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn read(options: &Options) -> Result<LeaseFile, Refused> {
    let known = |group: &str| match group {
        "it" | "sales" => Ok(()),
        _ => Err("declare it".to_owned()),
    };
    LeaseFile::read(options, known)
}

fn rows(body: &str) -> Result<LeaseFile, String> {
    Folder::new().read(&[&format!("address,from,to,identity,group\n{body}")])
}

/// `identity group` of an address, so many seconds into the day.
fn told(file: &LeaseFile, address: &str, second: u64) -> Option<String> {
    let row = file.at(address.parse().unwrap(), Time::from_secs(DAY + second))?;
    let owner = match &row.owner {
        Some(Owner::Name(name)) => name.to_string(),
        Some(Owner::Machine(mac)) => format!("{mac:02x?}"),
        None => "-".to_owned(),
    };
    Some(format!("{owner} {}", row.group.as_deref().unwrap_or("-")))
}

#[test]
fn an_address_is_whose_it_was_at_the_time() {
    let file = rows(
        "10.8.0.7, 2026-11-02T01:00:00+01:00, 2026-11-02T00:10:00Z, ACME\\Alice, it\n\
         # a comment\n\
         10.8.0.7,2026-11-02T00:20:00Z,2026-11-02T00:30:00Z,bob,\n\
         10.8.0.8,,,,sales\n\
         10.8.0.9,1793577660,,3C-22-FB-01-02-03,\n\
         10.8.0.9,1793577720,,carol,sales\n\
         ::ffff:10.8.0.10,,,dave,it\n\
         2001:db8::7,,,\"Eve, of it\",it\n",
    )
    .unwrap();
    assert_eq!((file.len(), file.owners().len()), (7, 6));
    for (address, second, expected) in [
        ("10.8.0.7", 0, Some("acme\\alice it")),
        ("10.8.0.7", 599, Some("acme\\alice it")),
        ("10.8.0.7", 600, None),
        ("10.8.0.7", 1_200, Some("bob -")),
        ("10.8.0.7", 1_800, None),
        ("10.8.0.6", 5, None),
        ("10.8.0.8", 0, Some("- sales")),
        ("10.8.0.9", 59, None),
        ("10.8.0.9", 119, Some("[3c, 22, fb, 01, 02, 03] -")),
        ("::ffff:10.8.0.9", 120, Some("carol sales")),
        ("10.8.0.10", 120, Some("dave it")),
        ("2001:db8::7", 120, Some("eve, of it it")),
        ("2001:db8::8", 120, None),
    ] {
        assert_eq!(told(&file, address, second).as_deref(), expected, "{address} {second}");
    }
    assert!(file.has("10.8.0.7".parse().unwrap()) && !file.has("10.8.0.6".parse().unwrap()));
    let row = file.at("2001:db8::7".parse().unwrap(), Time::ZERO).unwrap();
    assert!(file.place(row).ends_with("0.csv:9"), "{}", file.place(row));
}

#[test]
fn rows_that_say_the_same_may_overlap_and_an_open_one_ends_where_the_next_begins() {
    let file = rows(
        "10.8.0.7,1793577600,1793577700,alice,it\n\
         10.8.0.7,1793577650,1793577660,Alice,it\n\
         10.8.0.7,1793577690,1793577800,alice,it\n\
         10.8.0.7,1793577800,,bob,it\n\
         10.8.0.7,1793577900,1793577950,bob,it\n",
    )
    .unwrap();
    for (second, expected) in [
        (70, Some("alice it")),
        (199, Some("alice it")),
        (200, Some("bob it")),
        (320, Some("bob it")),
        (350, None),
    ] {
        assert_eq!(told(&file, "10.8.0.7", second).as_deref(), expected, "{second}");
    }
}

#[test]
fn a_fault_names_file_line_and_remedy_and_no_client() {
    for (row, line, word) in [
        ("10.8.0.300,,,alice,it", 2, "`address` is no IP address"),
        ("10.8.0.0/24,,,alice,it", 2, "`address` is no IP address"),
        ("10.8.0.7,yesterday,,alice,it", 2, "`from` or `to` is no time"),
        ("10.8.0.7,1793577700,1793577700,alice,it", 2, "`to` is not after `from`"),
        ("10.8.0.7,,,,", 2, "a row without `identity` and `group`"),
        ("10.8.0.7,,,alice,engineering", 2, "unknown group `engineering`"),
        ("10.8.0.7,,,alice", 2, "another number of columns"),
        (
            "10.8.0.7,,,bob,it\n10.8.0.7,1793577700,1793577800,alice,it\n10.8.0.7,1793577750,,bob,it",
            4,
            "0.csv:3",
        ),
        (
            "10.8.0.7,,,alice,it\n10.8.0.7,,,alice,sales",
            3,
            "says of an address what 0.csv:2 says otherwise",
        ),
        ("10.8.0.7,,,alice,it\n10.8.0.7,,,alice,", 3, "says otherwise"),
    ] {
        let said = rows(row).unwrap_err();
        assert!(
            said.starts_with(&format!("0.csv:{line}: ")) && said.contains(word),
            "{row}: {said}"
        );
        assert!(said.contains("\n  mend: "), "{said}");
        assert!(
            !said.contains("10.8.0") && !said.contains("alice") && !said.contains("bob"),
            "{said}"
        );
    }
    let long = format!("10.8.0.7,,,{},it", "a".repeat(256));
    assert!(rows(&long).unwrap_err().contains("more than 255 octets"));
    let folder = Folder::new();
    let head = "address,from,to,identity,group\n";
    let said = folder
        .read(&[&format!("{head}10.8.0.7,,,alice,it\n"), &format!("{head}10.8.0.7,,,bob,it\n")]);
    assert!(said.unwrap_err().starts_with("1.csv:2: says of an address what 0.csv:2"));
    for text in ["", "10.8.0.7,,,alice,it\n", "address;from;to;identity\n"] {
        let said = folder.read(&[text]).unwrap_err();
        assert!(said.starts_with("0.csv:1: the first line does not name the columns"), "{said}");
    }
    let mut options = folder.options(&[]);
    options.files.push(folder.0.path().join("none.csv"));
    let said = folder.shown(&read(&options).unwrap_err());
    assert!(said.starts_with("none.csv: cannot be read: "), "{said}");
    let many = rows(&"x,,,alice,it\n".repeat(1_000)).unwrap_err();
    assert_eq!(many.matches("mend: ").count(), MAX_FAULTS);
}

#[test]
fn more_than_the_bounds_is_refused_whole() {
    let folder = Folder::new();
    let body: String = (0..10).map(|n| format!("10.8.0.{n},,,alice,it\n")).collect();
    let text = format!("address,from,to,identity,group\n{body}");
    let options = Options { max_rows: 10, ..folder.options(&[&text]) };
    assert_eq!(read(&options).unwrap().len(), 10);
    let both = folder.options(&[&text, "address,from,to,identity\n10.9.0.1,,,bob\n"]);
    let refused = read(&Options { max_rows: 10, ..both }).unwrap_err();
    assert_eq!(refused.counter(), Counter::TooLarge);
    let said = folder.shown(&refused);
    assert!(said.starts_with("1.csv:2: ") && said.contains("more than 10 rows"), "{said}");
    assert!(said.contains("raise max_rows"), "{said}");
    let padded = format!("{text}#{}\n", "x".repeat(1 << 20));
    let options = Options { max_mib: 1, ..folder.options(&[&padded]) };
    let refused = read(&options).unwrap_err();
    assert_eq!(refused.counter(), Counter::TooLarge);
    assert!(folder.shown(&refused).contains("more than 1 MiB"));
    assert_eq!(Options::default().memory(), 0);
    assert!(options.memory() > 4 << 20);
}

#[test]
fn stamps_tell_a_file_that_changed() {
    let folder = Folder::new();
    let options = folder.options(&["address,from,to,identity\n10.8.0.7,,,alice\n"]);
    let file = read(&options).unwrap();
    assert_eq!(*file.stamps(), Stamps::of(&options));
    // As a program replaces it: another file of the same length.
    let other = folder.0.path().join("new");
    fs::write(&other, "address,from,to,identity\n10.8.0.7,,,carol\n").unwrap();
    fs::rename(&other, &options.files[0]).unwrap();
    assert_ne!(*file.stamps(), Stamps::of(&options));
    fs::remove_file(&options.files[0]).unwrap();
    assert_ne!(*file.stamps(), Stamps::of(&options));
}

#[test]
fn hostile_files_are_refused_or_read_and_never_more() {
    let folder = Folder::new();
    let good = "address,from,to,identity,group\n10.8.0.7,1,2,\"a\"\"b\",it\n10.8.0.8,,,é,\n";
    for cut in 0..good.len() {
        fs::write(folder.0.path().join("0.csv"), &good.as_bytes()[..cut]).unwrap();
        let options = Options { files: vec![folder.0.path().join("0.csv")], ..Options::default() };
        let _ = read(&options);
        let mut octets = good.as_bytes().to_vec();
        for octet in [0, b'"', b',', b'\n', 0xff] {
            octets[cut] = octet;
            fs::write(&options.files[0], &octets).unwrap();
            let _ = read(&options);
        }
    }
    assert!(folder.read(&[good]).is_ok());
}
