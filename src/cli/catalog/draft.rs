//! `saastap catalog new ID`: the skeleton of a signature file, which loads as it is and waits for its editor.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::Failure;
use crate::config::Config;
use crate::signature::Catalog;

/// Write the skeleton of a signature file, for a person to edit
///
/// It loads as it is. An existing file is never overwritten.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Vendor id: a-z, 0-9, hyphens
    #[arg(value_parser = word)]
    id: String,
    /// The vendor's name as it writes it
    #[arg(long)]
    name: Option<String>,
    /// The domain of its application
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Category, and folder of the file
    #[arg(long, value_parser = word, default_value = "helpdesk")]
    category: String,
    /// Folder of signatures; without it the first of `signatures.dirs`, else the one where you are
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub fn run(args: &Args, config: &Config, out: &mut impl Write) -> Result<(), Failure> {
    let configured = config.signatures.dirs.first();
    let here = || PathBuf::from(".");
    let dir = args.dir.clone().or_else(|| configured.cloned()).unwrap_or_else(here);
    let path = dir.join(&args.category).join(format!("{}.toml", args.id));
    let shown = path.display();
    let told = |error: io::Error| {
        let mend = "mend: name a folder with --dir in which you may write";
        Failure::misuse(format!("{shown}: {error}\n  {mend}"))
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(told)?;
    }
    let mut file = match fs::File::create_new(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mend = "mend: edit it, or take another id";
            return Err(Failure::misuse(format!("{shown} is there already\n  {mend}")));
        }
        file => file.map_err(told)?,
    };
    file.write_all(skeleton(args).as_bytes()).map_err(told)?;
    writeln!(out, "{shown}")?;
    let shipped = Catalog::embedded()?;
    if shipped.vendor(&args.id).is_some() {
        writeln!(out, "a shipped vendor is {:?}: this file replaces it whole", args.id)?;
    }
    if config.signatures.dirs.iter().all(|known| *known != dir) {
        writeln!(out, "next: edit it, and name its folder in the configuration:")?;
        writeln!(out, "\n[signatures]\ndirs = [{:?}]\n", dir.display().to_string())?;
    } else {
        writeln!(out, "next: edit it")?;
    }
    writeln!(out, "then: saastap check, saastap catalog lint, saastap explain {}", host(args))?;
    Ok(())
}

fn host(args: &Args) -> String {
    let domain = args.domain.clone().unwrap_or_else(|| format!("{}.example", args.id));
    format!("acme.{domain}")
}

fn word(text: &str) -> Result<String, String> {
    let sound = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if text.is_empty() || text.starts_with('-') || !text.bytes().all(sound) {
        return Err("write it with a-z, 0-9 and hyphens".to_owned());
    }
    Ok(text.to_owned())
}

/// Every value that a person must judge has a comment; signatures/README.md has the rest.
fn skeleton(args: &Args) -> String {
    let Args { id, category, .. } = args;
    let name = args.name.as_deref().unwrap_or(id);
    let domain = args.domain.clone().unwrap_or_else(|| format!("{id}.example"));
    format!(
        r#"id = "{id}"                    # never changes: policies name it
name = {name}
categories = ["{category}"]    # the first is the folder; more may follow
deployment = "cloud"           # cloud, on-premise or both
homepage = {homepage}

# What people work in. The name itself and all names below it; a longer match wins.
[[match]]
domain = {domain}
role = "console"               # console, portal, either, api, widget, cdn, mail, relay, download, telemetry, marketing, platform
tenant = "label"               # acme of acme.{plain}; remove the line where the label names no customer
#reserved = ["start"]          # labels that are no customers, beside www, docs, api ...
#ambiguous = true              # where visitors of other people's pages fetch such names too
source = "where you saw it: an address, or a file of a public repository"
#confidence = "medium"         # seen once, or at second hand

# A name with another role has a match of its own.
#[[match]]
#domain = "widget.{plain}"
#role = "widget"
#source = ""

# Customers' own host names lead here.
#[[match]]
#cname = {domain}
#tenant = "label"
#source = ""

# Must be found; write another such.
[[example]]
host = "acme.{plain}"
expect = {{ role = "console", tenant = "acme" }}

# Must not: a name that a careless rule would take.
[[example]]
host = "{plain}.login.example"
expect = "none"
"#,
        name = toml_text(name),
        homepage = toml_text(&format!("https://www.{domain}")),
        domain = toml_text(&domain),
        plain = domain,
    )
}

/// A TOML string (TOML 1.0: basic strings have JSON's escapes).
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Options;

    fn args(dir: &std::path::Path) -> Args {
        Args {
            id: "acme-desk".to_owned(),
            name: Some("Acme \"Desk\"".to_owned()),
            domain: Some("acmedesk.test.example".to_owned()),
            category: "live-chat".to_owned(),
            dir: Some(dir.to_owned()),
        }
    }

    #[test]
    fn the_skeleton_loads_and_claims() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        let mut args = args(folder.path());
        run(&args, &Config::default(), &mut out).unwrap();
        args.id = "plain".to_owned();
        (args.name, args.domain) = (None, None);
        run(&args, &Config::default(), &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert!(said.contains("live-chat/acme-desk.toml\nnext: edit it, and name"), "{said}");
        assert!(said.contains("explain acme.acmedesk.test.example"), "{said}");
        let options = Options { dirs: vec![folder.path().to_owned()], ..Options::default() };
        let catalog = Catalog::load(&options).unwrap_or_else(|faults| panic!("{faults}"));
        let verdict = catalog.host("acme.acmedesk.test.example").unwrap();
        assert_eq!(
            (&*verdict.vendor.name, verdict.tenant.as_deref()),
            ("Acme \"Desk\"", Some("acme"))
        );
        assert_eq!(&*catalog.host("a.plain.example").unwrap().vendor.id, "plain");
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let args = args(folder.path());
        run(&args, &Config::default(), &mut Vec::new()).unwrap();
        let file = folder.path().join("live-chat/acme-desk.toml");
        fs::write(&file, "edited").unwrap();
        let failure = run(&args, &Config::default(), &mut Vec::new()).unwrap_err();
        assert!(failure.words.contains("is there already\n  mend: edit it"), "{failure:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "edited");
    }

    #[test]
    fn an_id_is_a_word() {
        for text in ["", "A", "a b", "../x", "-a", "a.b"] {
            assert!(word(text).is_err(), "{text}");
        }
        assert_eq!(word("a-1"), Ok("a-1".to_owned()));
    }
}
