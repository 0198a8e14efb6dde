//! Who belongs to which group: by the VLAN in which they send, and by files of leases at the time of the packets.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::mirror::{records, write};
use crate::program::{OFFICE_DAY, saastap};

/// Groups of this configuration in place of the office's own.
fn configured(folder: &Path, groups: &str) -> String {
    let demo = fs::read_to_string("config/demo.toml").unwrap();
    let (before, behind) = demo.split_once("[[group]]").unwrap();
    let rules = &behind[behind.find("[[policy]]").unwrap()..];
    let file = folder.join("saastap.toml");
    fs::write(&file, format!("{before}{groups}\n{rules}")).unwrap();
    file.to_str().unwrap().to_owned()
}

fn read(config: &str, capture: &str, more: &[&str]) -> Value {
    let args = ["--config", config, "read", "--json"];
    saastap(&[&args[..], more, &[capture]].concat()).json()
}

/// Groups that have used a vendor.
fn groups_of<'a>(whole: &'a Value, vendor: &str) -> BTreeSet<&'a str> {
    let rows = whole["usage"].as_array().unwrap().iter();
    rows.filter(|row| row["vendor"] == vendor).map(|row| row["group"].as_str().unwrap()).collect()
}

/// The client of the session with AnyDesk at 14:05, and another.
const OFFICE: [u8; 4] = [10, 40, 0, 15];
const SALES: [u8; 4] = [10, 30, 0, 12];

#[test]
fn a_client_without_better_claim_belongs_to_the_vlan_in_which_it_sends() {
    let (header, mut records) = records(OFFICE_DAY);
    for record in &mut records {
        // What these two send comes from the ports of their switches, and all answers from the uplink.
        let vlan = match record.bytes.get(26..34) {
            Some(ends) if ends[..4] == OFFICE || ends[..4] == SALES => 20,
            Some(ends) if ends[4..] == OFFICE || ends[4..] == SALES => 99,
            _ => continue,
        };
        if record.bytes[12..14] == [8, 0] {
            record.bytes.splice(12..12, [0x81, 0, 0x60, vlan]);
            record.wire_len += 4;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tagged.pcap");
    write(&file, &header, &records);
    let file = file.to_str().unwrap();
    let config = configured(
        folder.path(),
        "[[group]]\nname = 'lab'\nvlans = [20]\n[[group]]\nname = 'uplink'\nvlans = [99]\n\
         [[group]]\nname = 'sales'\nnetworks = ['10.30.0.0/24']\n",
    );
    let told = read(&config, file, &[]);
    assert_eq!(groups_of(&told, "anydesk"), BTreeSet::from(["lab"]));
    let all: BTreeSet<_> =
        told["usage"].as_array().unwrap().iter().map(|r| r["group"].as_str()).collect();
    assert!(all.contains(&Some("sales")), "a network goes before: {all:?}");
    assert!(!all.contains(&Some("uplink")), "the answers' own: {all:?}");
    assert_eq!(read(&config, file, &["--workers", "3"]), told);
}

#[test]
fn a_row_of_the_lease_file_counts_at_the_time_of_the_packets() {
    let folder = tempfile::tempdir().unwrap();
    let leases = folder.path().join("leases.csv");
    let office = "[[group]]\nname = 'office'\nnetworks = ['10.40.0.0/24']\nmacs = ['3c:22:fb']\n\
                  [[group]]\nname = 'it'\n[[group]]\nname = 'vpn'\n";
    let config = configured(
        folder.path(),
        &format!(
            "{office}[leases]\nfiles = ['{}']\n[privacy]\nsmall_groups = 0\n",
            leases.display()
        ),
    );
    let head = "address,from,to,identity,group\n";
    for (rows, group) in [
        ("10.40.0.15,2026-03-02T14:00:00Z,2026-03-02T15:00:00Z,alice,it\n", "it"),
        ("10.40.0.15,2026-03-02T08:00:00Z,2026-03-02T14:00:00Z,alice,it\n", "office"),
        ("10.40.0.15,,2026-03-02T14:00:00Z,bob,it\n10.40.0.15,2026-03-02T14:00:00Z,,,vpn\n", "vpn"),
        ("10.40.0.15,,,alice,other\n", "other"),
        ("10.40.0.15,,,alice,\n", "office"),
    ] {
        fs::write(&leases, format!("{head}{rows}")).unwrap();
        let told = read(&config, OFFICE_DAY, &[]);
        assert_eq!(groups_of(&told, "anydesk"), BTreeSet::from([group]), "{rows}");
        assert_eq!(read(&config, OFFICE_DAY, &["--workers", "2"]), told);
    }
    // One person, one client, though she has two addresses: the other's vendor and this one's.
    let rows = "10.40.0.15,,,alice,it\n10.30.0.12,,,ALICE,it\n";
    let ids = |rows: &str| -> BTreeSet<String> {
        fs::write(&leases, format!("{head}{rows}")).unwrap();
        let told = read(&config, OFFICE_DAY, &["--clients", "pseudonym"]);
        let found = told["findings"].as_array().unwrap().iter();
        let of = |f: &&Value| f["group"] == "it" || f["group"] == "vpn";
        let clients = found.filter(of).flat_map(|f| f["clients"]["listed"].as_array().unwrap());
        clients.map(|c| c.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(rows).len(), 1);
    assert_eq!(ids(&rows.replace("ALICE", "carol")).len(), 2, "two persons");
}

#[test]
fn explain_check_and_diff_know_the_lease_file_and_say_where_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let leases = folder.path().join("leases.csv");
    let rows = "address,from,to,identity,group\n10.40.0.15,2026-03-02T14:00:00Z,,alice,it\n";
    fs::write(&leases, rows).unwrap();
    let groups = "[[group]]\nname = 'office'\nnetworks = ['10.40.0.0/24']\nvlans = [7]\n\
                  [[group]]\nname = 'it'\nhosts = ['it-*']\n";
    let table = format!("[leases]\nfiles = ['{}']\n", leases.display());
    let config = configured(folder.path(), &format!("{groups}{table}"));
    let explain = |asked: &str| {
        let args = ["--config", &config, "policy", "explain", "--json", "--vendor", "anydesk"];
        let told = saastap(&[&args[..], &asked.split(' ').collect::<Vec<_>>()].concat()).json();
        format!("{} {}", told["group"].as_str().unwrap(), told["group_by"].as_str().unwrap_or("-"))
    };
    let place = format!("it lease file ({}:2)", leases.display());
    let at = "--at 2026-03-02T14:00:00Z --client";
    assert_eq!(explain(&format!("{at} 10.40.0.15 --host desk")), place);
    assert_eq!(explain("--at 2026-03-02T13:00:00Z --client 10.40.0.15"), "office network");
    assert_eq!(explain(&format!("{at} 10.40.0.16 --host IT-9.acme.example")), "it host name");
    assert_eq!(explain(&format!("{at} 10.50.0.1 --vlan 7")), "office VLAN");
    assert_eq!(explain(&format!("{at} 10.50.0.1 --mac 3c:22:fb:00:00:01")), "other -");
    let check = saastap(&["--config", &config, "check"]).well();
    assert!(check.contains("leases         1 rows in 1 files: well"), "{check}");

    let old = folder.path().join("old.toml");
    let without = fs::read_to_string(&config).unwrap().replace(&table, "");
    fs::write(&old, without).unwrap();
    let diff = ["--config", old.to_str().unwrap(), "policy", "diff", &config, "--on", OFFICE_DAY];
    let told = saastap(&diff).well();
    assert!(told.contains("lost     unsanctioned_use anydesk, group office"), "{told}");
    assert!(told.contains("gained   unsanctioned_use anydesk, group it"), "{told}");

    fs::write(&leases, format!("{rows}10.40.0.15,2026-03-03T14:00:00Z,,bob,crew\n")).unwrap();
    let ran = saastap(&["--config", &config, "check"]);
    let place = format!("{}:3: unknown group `crew`", leases.display());
    assert!(ran.code != Some(0) && ran.err.contains(&place), "{}", ran.err);
    assert!(ran.err.contains("\n  mend: ") && !ran.err.contains("bob"), "{}", ran.err);
}

#[test]
fn a_group_of_few_is_named_where_clients_are_shown_by_address_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let groups = "[[group]]\nname = 'crew'\nnetworks = ['10.40.0.15/32']\n\
                  [[group]]\nname = 'pair'\nnetworks = ['10.30.0.12/32', '10.30.0.16/32']\n\
                  [[group]]\nname = 'support'\nnetworks = ['10.20.0.0/24']\n";
    let config = configured(folder.path(), groups);
    let told = |clients: &str, config: &str| {
        let whole = read(config, OFFICE_DAY, &["--clients", clients]);
        let of = |list: &str| -> BTreeSet<String> {
            let rows = whole[list].as_array().unwrap().iter();
            rows.map(|row| row["group"].as_str().unwrap().to_owned()).collect()
        };
        (of("usage"), of("findings"), whole)
    };
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    let (usage, findings, shown) = told("address", &config);
    assert_eq!(usage, set(&["crew", "pair", "support", "other"]));
    assert_eq!(findings, set(&["crew", "pair"]));
    for clients in ["pseudonym", "group"] {
        let (usage, findings, whole) = told(clients, &config);
        assert_eq!(usage, set(&["small", "support", "other"]), "{clients}");
        assert_eq!(findings, set(&["small"]), "{clients}");
        let all = whole.to_string();
        assert!(!all.contains("\"crew\"") && !all.contains("\"pair\""), "{clients}");
        // Rows that say the same are one; none is lost.
        for sum in ["flows", "sent", "received"] {
            let total = |whole: &Value| -> u64 {
                let rows = whole["usage"].as_array().unwrap().iter();
                rows.map(|row| row[sum].as_u64().unwrap()).sum()
            };
            assert_eq!(total(&whole), total(&shown), "{clients} {sum}");
        }
        let rows = whole["usage"].as_array().unwrap();
        let small = rows.iter().filter(|row| row["group"] == "small");
        let places: Vec<String> = small
            .map(|row| ["vendor", "tenant", "role", "state"].map(|k| row[k].to_string()).join(" "))
            .collect();
        assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), places.len(), "{places:?}");
    }
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[privacy]\nsmall_groups = 2\n")).unwrap();
    let (usage, ..) = told("pseudonym", &config);
    assert_eq!(usage, set(&["small", "pair", "support", "other"]));
}
