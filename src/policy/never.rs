//! What is never recorded: names, vendors and networks that are counted in visibility as `excluded` and nowhere else.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::nearest::suggest;
use super::own::host_of;
use super::pattern::Pattern;
use crate::fault::{Fault, Faults, line_of};
use crate::identity::{Networks, NeverOptions, parse_network};
use crate::signature::Catalog;

crate::rows! {
    pub enum NeverCounter {
        Flows => Counter "saastap_privacy_never_recorded_flows_total" "Flows that `never_record` of [privacy] kept out of usage and findings.",
    }
}

/// `privacy.never_record`, ready to be asked. The default holds nothing.
#[derive(Clone, Debug, Default)]
pub struct NeverRecord {
    names: Vec<Pattern>,
    vendors: HashSet<Arc<str>>,
    networks: Networks<()>,
}

impl NeverRecord {
    /// The error holds all mistakes, by line of `text`, which is the file in which they stand.
    pub fn build(
        options: &NeverOptions,
        catalog: &Catalog,
        file: &str,
        text: &str,
    ) -> Result<Self, Faults> {
        let mut never = Self::default();
        let mut faults = Vec::new();
        let mut refuse = |word: &str, what: String, mend: String| {
            let fault = Fault::new(file, what, mend);
            faults.push(match place(text, word) {
                Some(offset) => fault.at_line(line_of(text, offset)),
                None => fault,
            });
        };
        for name in &options.names {
            let host = host_of(name);
            if host.trim_matches('*').is_empty() || host.contains(['/', ':', ' ']) {
                let what = format!("`{name}` of never_record is no host name");
                let mend = "write a name, which stands for those below it as well, or a pattern \
                            as `*.bank.example`";
                refuse(name, what, mend.to_owned());
                continue;
            }
            never.names.extend(Pattern::new(&host));
            never.names.extend(Pattern::new(&format!("*.{host}")));
        }
        for id in &options.vendors {
            if let Some(vendor) = catalog.vendor(id) {
                never.vendors.insert(vendor.id.clone());
                continue;
            }
            let known = catalog.vendors().map(|v| &*v.id);
            let mend = suggest(id, known, "`saastap catalog list` shows all ids");
            refuse(id, format!("unknown vendor `{id}` in never_record"), mend);
        }
        for network in &options.networks {
            match parse_network(network) {
                Ok(network) => {
                    // Twice says no more than once.
                    let _ = never.networks.insert(network, ());
                }
                Err(what) => {
                    let mend = "write the network as it is meant".to_owned();
                    refuse(network, format!("never_record: {what}"), mend);
                }
            }
        }
        if faults.is_empty() { Ok(never) } else { Err(Faults(faults)) }
    }

    /// Whether a host is one of the names, or lies below one.
    pub fn has_name(&self, host: &str) -> bool {
        !self.names.is_empty() && {
            let host = host_of(host);
            self.names.iter().any(|pattern| pattern.matches(&host))
        }
    }

    pub fn has_vendor(&self, id: &str) -> bool {
        self.vendors.contains(id)
    }

    pub fn has_address(&self, address: IpAddr) -> bool {
        self.networks.longest(address).is_some()
    }
}

/// Where a word stands behind `never_record`.
fn place(text: &str, word: &str) -> Option<usize> {
    let start = text.find("never_record")?;
    let tail = text.get(start..)?;
    let quoted = |quote| tail.find(&format!("{quote}{word}{quote}"));
    quoted('"').or_else(|| quoted('\'')).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature;

    fn never(names: &[&str], vendors: &[&str], networks: &[&str]) -> Result<NeverRecord, Faults> {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let options =
            NeverOptions { names: own(names), vendors: own(vendors), networks: own(networks) };
        let catalog = Catalog::load(&signature::Options::default()).unwrap();
        let text = format!(
            "[own]\ndomains = [\"zendsk\"]\n[privacy.never_record]\nnames = {names:?}\nvendors = {vendors:?}\nnetworks = {networks:?}\n"
        );
        NeverRecord::build(&options, &catalog, "x.toml", &text)
    }

    #[test]
    fn a_name_stands_for_those_below_it_and_a_star_for_anything() {
        let never =
            never(&["Works-Council.example.", "*doctor*.example"], &["zendesk"], &["10.9.0.0/16"])
                .unwrap();
        for name in [
            "works-council.example",
            "www.Works-Council.example",
            "my-doctor.example",
            "a.doctors.example",
        ] {
            assert!(never.has_name(name), "{name}");
        }
        for name in ["notworks-council.example", "works-council.example.org", "example"] {
            assert!(!never.has_name(name), "{name}");
        }
        assert!(never.has_vendor("zendesk") && !never.has_vendor("intercom"));
        let [inside, mapped, outside] =
            ["10.9.1.2", "::ffff:10.9.1.2", "10.8.1.2"].map(|ip| ip.parse().unwrap());
        assert!(never.has_address(inside) && never.has_address(mapped));
        assert!(!never.has_address(outside));
        let nothing = NeverRecord::default();
        assert!(!nothing.has_name("a.example") && !nothing.has_address(inside));
    }

    #[test]
    fn mistakes_are_told_with_line_and_remedy() {
        let faults =
            never(&["*", "https://a.example/"], &["zendsk"], &["10.9.1.0/16"]).unwrap_err();
        let told: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
        for (line, what) in [
            ("x.toml:4: ", "`*` of never_record is no host name"),
            ("x.toml:4: ", "`https://a.example/` of never_record"),
            ("x.toml:5: ", "write `zendesk` if that was meant"),
            ("x.toml:6: ", "`10.9.0.0/16` was meant"),
        ] {
            let all = told.iter().any(|t| t.starts_with(line) && t.contains(what));
            assert!(all, "{line}{what}: {told:#?}");
        }
        assert_eq!(told.len(), 4);
    }
}
