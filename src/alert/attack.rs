//! MITRE ATT&CK (Enterprise, 2025-11): the names of the techniques that findings name, and the tactic each serves.

/// A technique, or one of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Technique {
    /// `T1219` or `T1219.002`.
    pub id: &'static str,
    pub name: &'static str,
    /// `TA0011` and its name.
    pub tactic: (&'static str, &'static str),
}

impl Technique {
    pub fn by_id(id: &str) -> Option<&'static Self> {
        TECHNIQUES.iter().find(|t| t.id == id)
    }

    /// The id of the whole of which this is a part; its own where it is a whole.
    pub fn whole(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(whole, _)| whole)
    }

    pub fn is_part(&self) -> bool {
        self.whole() != self.id
    }
}

const RECONNAISSANCE: (&str, &str) = ("TA0043", "Reconnaissance");
const RESOURCES: (&str, &str) = ("TA0042", "Resource Development");
const ACCESS: (&str, &str) = ("TA0001", "Initial Access");
const STEALTH: (&str, &str) = ("TA0005", "Defense Evasion");
const LATERAL: (&str, &str) = ("TA0008", "Lateral Movement");
const COLLECTION: (&str, &str) = ("TA0009", "Collection");
const CONTROL: (&str, &str) = ("TA0011", "Command and Control");
const EXFILTRATION: (&str, &str) = ("TA0010", "Exfiltration");

const fn row(
    id: &'static str,
    name: &'static str,
    tactic: (&'static str, &'static str),
) -> Technique {
    Technique { id, name, tactic }
}

static TECHNIQUES: &[Technique] = &[
    row("T1021", "Remote Services", LATERAL),
    row("T1030", "Data Transfer Size Limits", EXFILTRATION),
    row("T1048", "Exfiltration Over Alternative Protocol", EXFILTRATION),
    row("T1071", "Application Layer Protocol", CONTROL),
    row("T1090", "Proxy", CONTROL),
    row("T1090.004", "Domain Fronting", CONTROL),
    row("T1102", "Web Service", CONTROL),
    row("T1133", "External Remote Services", ACCESS),
    row("T1190", "Exploit Public-Facing Application", ACCESS),
    row("T1213", "Data from Information Repositories", COLLECTION),
    row("T1219", "Remote Access Tools", CONTROL),
    row("T1219.002", "Remote Desktop Software", CONTROL),
    row("T1219.003", "Remote Access Hardware", CONTROL),
    row("T1562", "Impair Defenses", STEALTH),
    row("T1566", "Phishing", ACCESS),
    row("T1566.002", "Spearphishing Link", ACCESS),
    row("T1566.004", "Spearphishing Voice", ACCESS),
    row("T1567", "Exfiltration Over Web Service", EXFILTRATION),
    row("T1567.002", "Exfiltration to Cloud Storage", EXFILTRATION),
    row("T1567.004", "Exfiltration Over Webhook", EXFILTRATION),
    row("T1572", "Protocol Tunneling", CONTROL),
    row("T1573", "Encrypted Channel", CONTROL),
    row("T1573.002", "Asymmetric Cryptography", CONTROL),
    row("T1583", "Acquire Infrastructure", RESOURCES),
    row("T1583.001", "Domains", RESOURCES),
    row("T1598", "Phishing for Information", RECONNAISSANCE),
    row("T1598.003", "Spearphishing Link", RECONNAISSANCE),
    row("T1656", "Impersonation", STEALTH),
    row("T1665", "Hide Infrastructure", CONTROL),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::FINDINGS;

    #[test]
    fn every_technique_of_a_finding_and_the_whole_of_every_part_have_a_name() {
        let named = FINDINGS.iter().flat_map(|f| f.attack.iter().chain(f.remote.1));
        for id in named {
            assert!(Technique::by_id(id).is_some(), "{id} has no row");
        }
        for technique in TECHNIQUES {
            assert!(Technique::by_id(technique.whole()).is_some(), "{}", technique.whole());
        }
        assert!(TECHNIQUES.is_sorted_by(|a, b| a.id < b.id));
    }
}
