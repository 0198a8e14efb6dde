//! What a distribution gets: the unit and how exposed it is, what `make install` puts where, and the Prometheus rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The exposure that `systemd-analyze security` may find, out of 10.
const EXPOSURE: f64 = 2.0;

#[test]
fn the_unit_is_hardly_exposed() {
    let unit = package().join("systemd/saastap.service");
    let Some(exposure) = exposure(&unit) else {
        return skipped("systemd-analyze is not installed (Debian: systemd)");
    };
    assert!(exposure <= EXPOSURE, "exposure {exposure}");
    // The figure moves: the same unit without its bounds.
    let folder = tempfile::tempdir().unwrap();
    let loose = folder.path().join("saastap.service");
    let text = fs::read_to_string(&unit).unwrap();
    let kept =
        text.lines().filter(|l| !l.starts_with("Capability") && !l.starts_with("SystemCall"));
    fs::write(&loose, kept.collect::<Vec<_>>().join("\n")).unwrap();
    assert!(exposure_of(&loose) > EXPOSURE);
}

#[test]
fn install_puts_everything_in_its_place_and_keeps_what_was_edited() {
    let stage = Stage::new();
    stage.install();
    for file in [
        "usr/bin/saastap",
        "usr/share/man/man8/saastap.8",
        "usr/share/bash-completion/completions/saastap",
        "usr/share/zsh/site-functions/_saastap",
        "usr/share/fish/vendor_completions.d/saastap.fish",
        "usr/lib/systemd/system/saastap.service",
        "usr/lib/sysusers.d/saastap.conf",
        "usr/lib/tmpfiles.d/saastap.conf",
        "usr/share/doc/saastap/LICENSE-MIT",
        "usr/share/doc/saastap/LICENSE-APACHE",
        "usr/share/doc/saastap/prometheus/saastap.rules.yml",
    ] {
        let path = stage.path(file);
        assert!(fs::metadata(&path).is_ok_and(|m| m.len() > 0), "{file} is missing or empty");
    }
    assert_eq!(stage.read("usr/share/man/man8/saastap.8"), "made by man\n");
    assert_eq!(stage.read("usr/share/zsh/site-functions/_saastap"), "made by completions zsh\n");
    let mode = fs::metadata(stage.path("usr/bin/saastap")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    if package().join("config/saastap.toml").exists() {
        let ours = stage.path("etc/saastap/saastap.toml");
        fs::write(&ours, "# edited\n").unwrap();
        stage.install();
        assert_eq!(fs::read_to_string(&ours).unwrap(), "# edited\n");
    }
    stage.make("uninstall", "/usr");
    assert!(!stage.path("usr/bin/saastap").exists());
    assert!(!stage.path("usr/share/doc/saastap").exists());
}

#[test]
fn install_says_what_to_do_where_nothing_is_built() {
    let stage = Stage::new();
    fs::remove_file(&stage.binary).unwrap();
    let output = stage.run("install", "/usr");
    assert!(!output.status.success());
    assert!(said(&output).contains("run `make build` first"), "{}", said(&output));
}

#[test]
fn systemd_accepts_what_is_installed() {
    let stage = Stage::new();
    // The unit must name a program that exists, so the prefix is the stage itself.
    let prefix = stage.folder.path().join("prefix");
    let output = Command::new("make")
        .current_dir(package())
        .args(["--no-print-directory", "install", "DESTDIR="])
        .arg(format!("PREFIX={}", prefix.display()))
        .arg(format!("SYSCONFDIR={}", stage.folder.path().join("etc").display()))
        .arg(format!("BINARY={}", stage.binary.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let unit = prefix.join("lib/systemd/system/saastap.service");
    let Ok(output) =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output()
    else {
        return skipped("systemd-analyze is not installed (Debian: systemd)");
    };
    assert!(
        output.status.success() && !said(&output).contains("saastap.service"),
        "{}",
        said(&output)
    );
    let root = stage.folder.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    let sysusers = Command::new("systemd-sysusers")
        .arg(format!("--root={}", root.display()))
        .arg(package().join("systemd/saastap.sysusers"))
        .output();
    let Ok(output) = sysusers else {
        return skipped("systemd-sysusers is not installed (Debian: systemd)");
    };
    assert!(output.status.success(), "{}", said(&output));
    let passwd = fs::read_to_string(root.join("etc/passwd")).unwrap();
    assert!(
        passwd.lines().any(|l| l.starts_with("saastap:") && l.ends_with("nologin")),
        "{passwd}"
    );
}

#[test]
fn prometheus_rules_hold_and_name_metrics_that_exist() {
    let folder = package().join("config/prometheus");
    let rules = fs::read_to_string(folder.join("saastap.rules.yml")).unwrap();
    let mut source = String::new();
    gather(&package().join("src"), &mut source);
    let names: Vec<&str> = rules
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("saastap_"))
        .collect();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        assert!(source.contains(&format!("\"{name}\"")), "no stage has a metric {name}");
    }
    for args in [
        ["check", "rules", "--lint-fatal", "saastap.rules.yml"].as_slice(),
        &["test", "rules", "saastap.rules.test.yml"],
    ] {
        let Ok(output) = Command::new("promtool").current_dir(&folder).args(args).output() else {
            return skipped("promtool is not installed (Debian: prometheus)");
        };
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn the_port_in_the_scrape_configuration_is_the_default() {
    let scrape = fs::read_to_string(package().join("config/prometheus/scrape.yml")).unwrap();
    let listen = saastap::export::web::Options::default().listen;
    assert!(scrape.contains(&format!("\"{listen}\"")), "{scrape}");
}

/// A folder to install into, and a stand-in for the binary that tells how it was called.
struct Stage {
    folder: tempfile::TempDir,
    binary: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("built");
        fs::write(&binary, "#!/bin/sh\necho \"made by $*\"\n").unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, binary }
    }

    fn install(&self) {
        self.make("install", "/usr");
    }

    fn make(&self, target: &str, prefix: &str) {
        let output = self.run(target, prefix);
        assert!(output.status.success(), "{}", said(&output));
    }

    fn run(&self, target: &str, prefix: &str) -> Output {
        Command::new("make")
            .current_dir(package())
            .args(["--no-print-directory", target])
            .arg(format!("PREFIX={prefix}"))
            .arg(format!("DESTDIR={}", self.folder.path().join("stage").display()))
            .arg(format!("BINARY={}", self.binary.display()))
            .output()
            .unwrap()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("stage").join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }
}

fn exposure(unit: &Path) -> Option<f64> {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(unit)
        .output()
        .ok()?;
    let text = said(&output);
    let figure = text.split("Overall exposure level for ").nth(1)?.split(' ').nth(1)?;
    Some(figure.parse().unwrap_or_else(|_| panic!("{text}")))
}

fn exposure_of(unit: &Path) -> f64 {
    exposure(unit).unwrap()
}

fn gather(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, text);
        } else {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}
