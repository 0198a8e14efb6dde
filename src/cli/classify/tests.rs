//! Logs of each form, whole and damaged.

use super::*;
use crate::signature::sample::ZENDESK;

fn args(file: &str, column: Option<&str>) -> Args {
    Args {
        file: file.into(),
        column: column.map(str::to_owned),
        format: None,
        no_header: false,
        prefix: String::new(),
        matched: false,
    }
}

fn catalog() -> Catalog {
    Catalog::load_texts(&[("helpdesk/zendesk.toml", ZENDESK)]).unwrap()
}

fn tried(args: &Args, input: &[u8]) -> Result<(String, Tally), String> {
    let mut out = Vec::new();
    let tally = classify(args, "log", &catalog(), input, &mut out).map_err(|f| f.words)?;
    Ok((String::from_utf8_lossy(&out).into_owned(), tally))
}

fn classified(args: &Args, input: &str) -> String {
    tried(args, input.as_bytes()).unwrap().0
}

const ADDED: &str = "zendesk,acme,either,true,high";

#[test]
fn csv_keeps_its_columns_and_gets_five() {
    let input = "time,Host,agent\n1,acme.zendesk.com,\"a, \"\"b\"\"\"\n2,other.example,-\n3\n";
    let got = classified(&args("proxy.csv", None), input);
    let wanted = format!(
        "time,Host,agent,vendor,tenant,role,ambiguous,confidence\n\
         1,acme.zendesk.com,\"a, \"\"b\"\"\",{ADDED}\n2,other.example,-,,,,,\n3,,,,,\n"
    );
    assert_eq!(got, wanted);
    let mut only = args("-", Some("2"));
    (only.matched, only.prefix) = (true, "saas_".to_owned());
    let got = classified(&only, input);
    assert!(got.starts_with("time,Host,agent,saas_vendor,saas_tenant,"), "{got}");
    assert_eq!(got.lines().count(), 2, "{got}");
    let mut bare = args("-", None);
    bare.no_header = true;
    assert_eq!(classified(&bare, "acme.zendesk.com,x\n"), format!("acme.zendesk.com,x,{ADDED}\n"));
}

#[test]
fn tsv_is_written_as_it_was_read() {
    let got = classified(&args("-", Some("query")), "ts\tquery\n1\tx.zdassets.com\n2 \"a\"\tb\n");
    assert_eq!(
        got,
        "ts\tquery\tvendor\ttenant\trole\tambiguous\tconfidence\n\
         1\tx.zdassets.com\tzendesk\t\twidget\tfalse\thigh\n2 \"a\"\tb\t\t\t\t\t\n"
    );
}

#[test]
fn plain_lines_are_words() {
    let squid = "1700000000.1 9 10.0.0.1 TCP_TUNNEL/200 39 CONNECT acme.zendesk.com:443 - \r\n";
    let got = classified(&args("access.log", Some("7")), squid);
    assert_eq!(got, format!("{}\t{}\n", squid.trim_end_matches("\r\n"), ADDED.replace(',', "\t")));
    assert_eq!(classified(&args("-", None), "other.example"), "other.example\t\t\t\t\t\n");
    let got = tried(&args("access.log", Some("host")), squid.as_bytes()).unwrap_err();
    assert!(got.contains("log:1: a plain log has no column \"host\"\n  mend: "), "{got}");
}

#[test]
fn json_keeps_its_keys() {
    let got = classified(
        &args("-", Some("tls.sni")),
        "{\"z\":1, \"tls\":{\"sni\":\"acme.zendesk.com\"}}\n\n{}\n",
    );
    assert_eq!(
        got,
        "{\"z\":1, \"tls\":{\"sni\":\"acme.zendesk.com\"},\"vendor\":\"zendesk\",\"tenant\":\"acme\",\
         \"role\":\"either\",\"ambiguous\":true,\"confidence\":\"high\"}\n\
         {\"vendor\":null,\"tenant\":null,\"role\":null,\"ambiguous\":false,\"confidence\":null}\n"
    );
    for line in got.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let got = tried(&args("x.json", None), b"{}\n[1]\n").unwrap_err();
    assert!(got.starts_with("log:2: no JSON object: "), "{got}");
}

#[test]
fn the_summary_counts_every_row() {
    let (_, tally) =
        tried(&args("-", None), b"acme.zendesk.com\nother.example\n10.0.0.1\n\n").unwrap();
    let mut out = Vec::new();
    tally.print(&mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    let wanted =
        "4 rows, 1 of 1 vendors, 2 without a host\n  zendesk                           1\n";
    assert_eq!(said, wanted);
}

#[test]
fn a_missing_column_is_told_with_those_there() {
    let got = tried(&args("-", Some("sni")), b"a,b\n").unwrap_err();
    assert_eq!(got, "log:1: no column \"sni\"\n  mend: say --column, one of a, b, or its number");
    assert!(tried(&args("-", Some("0")), b"a,b\n").is_err());
    assert!(tried(&args("-", Some("3")), b"a,b\n").is_err());
}

/// Gives one octet for ever.
struct Endless(u8);

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(self.0);
        Ok(buffer.len())
    }
}

#[test]
fn a_row_without_an_end_is_refused() {
    for format in [Format::Csv, Format::Tsv, Format::Plain, Format::Json] {
        let args = Args { format: Some(format), ..args("-", Some("1")) };
        let start: &[u8] = b"a,b\n\"";
        let input = BufReader::new(io::Read::chain(start, Endless(b'x')));
        let failure = classify(&args, "log", &catalog(), input, io::sink()).unwrap_err();
        let told = ["MiB", "no JSON object"].iter().any(|part| failure.words.contains(part));
        assert!(told, "{format:?}: {}", failure.words);
    }
}

#[test]
fn any_octets_are_survived() {
    let whole = b"{\"host\":\"acme.zendesk.com\"}\n\"a,b\"\tacme.zendesk.com,\xff\xfe\x00\r\n\"";
    for format in [Format::Csv, Format::Tsv, Format::Plain, Format::Json] {
        let args = Args { format: Some(format), no_header: true, ..args("-", None) };
        for end in 0..=whole.len() {
            let _ = tried(&args, &whole[..end]);
            let mut changed = whole.to_vec();
            if let Some(byte) = changed.get_mut(end) {
                *byte ^= 0x24;
            }
            let _ = tried(&args, &changed);
        }
    }
}

#[test]
fn a_column_that_is_there_already_is_not_written_twice() {
    for (file, input) in [
        ("l.tsv", "host\trole\nx.zdassets.com\tuser\n"),
        ("l.json", "{\"host\":\"x\",\"role\":1}\n"),
    ] {
        let mut asked = args(file, None);
        let words = tried(&asked, input.as_bytes()).unwrap_err();
        assert!(
            words.starts_with("log:1: the log has a column `role` of its own\n  mend: "),
            "{words}"
        );
        asked.prefix = "saas_".to_owned();
        assert!(classified(&asked, input).contains("saas_role"));
    }
}
