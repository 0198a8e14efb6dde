//! What a person did wrong is said with place and remedy, and the exit code tells misuse from failure.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::sensor::{Office, POLICY, PROGRAM};
use super::wire::{Wire, run, skipped};

#[test]
fn a_port_in_use() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let port = office.port;
    let _other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let told = refused(&office, office.program(&["run", "-i", &wire.near]), 1);
    let wanted = format!(
        "saastap: cannot listen on 127.0.0.1:{port}: Address already in use (os error 98)\n  \
         mend: another program listens there (`ss -ltnp 'sport = :{port}'` names it): stop it, or \
         set another `listen` in [web]\n"
    );
    assert_eq!(told, wanted);
}

#[test]
fn an_interface_that_is_missing_or_none_named() {
    let office = Office::new("");
    let told = refused(&office, office.program(&["run", "-i", "nosuch7"]), 1);
    let (first, second) = told.split_once('\n').unwrap();
    assert_eq!(first, "saastap: the interface nosuch7 does not exist");
    assert!(second.starts_with("  mend: name one that does: ") && second.contains("lo"), "{told}");

    let office = Office::new("");
    let told = refused(&office, office.program(&["run"]), 2);
    let wanted = "saastap: no interface is given\n  \
                  mend: name one with --interface, or in `interfaces` of [capture]\n";
    assert_eq!(told, wanted);
}

#[test]
fn no_right_to_listen() {
    let Some(wire) = Wire::new() else { return };
    if let Err(why) = run("setpriv", &["--bounding-set=-net_raw", "true"]) {
        skipped("cannot give up a capability", &why);
        return;
    }
    let office = Office::new("");
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw", "--", PROGRAM, "--config"]);
    command.arg(office.path("saastap.toml")).args(["run", "-i", &wire.near]);
    let told = refused(&office, command, 1);
    let begins = format!("saastap: the interface {} cannot be opened: ", wire.near);
    let (first, second) = told.split_once('\n').unwrap();
    assert!(first.starts_with(&begins), "{told}");
    let program = fs::canonicalize(PROGRAM).unwrap();
    let wanted = format!(
        "  mend: give the program the right to listen, `setcap cap_net_raw=ep {}`, or start it by \
         its unit, `systemctl start saastap`\n",
        program.display()
    );
    assert_eq!(second, wanted);
}

#[test]
fn a_state_folder_that_cannot_be_made_or_written() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    fs::write(office.path("state"), "a file").unwrap();
    let told = refused(&office, office.program(&["run", "-i", &wire.near]), 1);
    let wanted = format!(
        "saastap: {}: cannot be made: File exists (os error 17)\n  \
         mend: name a directory that may be written in [store] directory\n",
        office.path("state").display()
    );
    assert_eq!(told, wanted);

    let office = Office::new("");
    let state = office.path("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).unwrap();
    // The right to pass over permissions is given up, the right to listen is not.
    let given_up = "-dac_override,-dac_read_search";
    if let Err(why) = run("setpriv", &[&format!("--bounding-set={given_up}"), "true"]) {
        skipped("cannot give up a capability", &why);
        return;
    }
    let mut command = Command::new("setpriv");
    command.args([format!("--bounding-set={given_up}"), "--".into(), PROGRAM.into()]);
    command.arg("--config").arg(office.path("saastap.toml")).args(["run", "-i", &wire.near]);
    let told = refused(&office, command, 1);
    assert!(told.starts_with("saastap: ") && told.contains(state.to_str().unwrap()), "{told}");
    assert!(told.contains("Permission denied") && told.contains("\n  mend: "), "{told}");
    assert!(told.contains("[store]"), "{told}");
}

#[test]
fn mistakes_of_the_file_are_misuse_and_named_by_line() {
    let Some(wire) = Wire::new() else { return };
    let sink = "\n[[sink]]\nname = 'siem'\nkind = 'fax' # here\npath = '/x'\n";
    let groups = "\n[[group]]\nname = 'more'\nnetworks = [\n  '10.20.0.0/24', # here\n]\n";
    let rule = "\n[[policy]]\nvendor = 'zendeks' # here\nstate = 'tolerated'\n";
    let key = "\n[flow]\nmax_flow = 7 # here\n";
    let typed = "\n[flow]\nmax_flows = 'many' # here\n";
    for (text, words) in [
        (sink, "there is no sink of kind `fax`\n  mend: use one of: file, syslog"),
        (groups, "10.20.0.0/24"),
        (rule, "`zendeks`"),
        (key, "unknown field `max_flow`"),
        (typed, "invalid type: string \"many\""),
    ] {
        let office = Office::new(&format!("{POLICY}{text}"));
        let file = office.text("saastap.toml");
        let line = 1 + file.lines().position(|line| line.ends_with("# here")).unwrap();
        let told = refused(&office, office.program(&["run", "-i", &wire.near]), 2);
        let begins = format!("saastap: {}:{line}: ", office.path("saastap.toml").display());
        assert!(told.starts_with(&begins) && told.contains(words), "{line}, {told}");
        assert!(told.contains("\n  mend: "), "{told}");
        assert!(!office.path("state").exists(), "nothing was begun");
    }
}

/// Runs to its end, which must come by itself; what was said on the way.
fn refused(office: &Office, command: Command, code: i32) -> String {
    let status = office.start(command).end();
    let told = office.text("log");
    assert_eq!(status.code(), Some(code), "{told}");
    assert_eq!(office.text("out"), "");
    told
}
