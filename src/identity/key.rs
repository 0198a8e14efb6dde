//! The key of the pseudonyms: kept in a file that only its owner may read.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};

/// Octets of a key.
pub const KEY_OCTETS: usize = 32;

/// Text of a key file: two hexadecimal digits an octet and a line feed.
const FILE_OCTETS: u64 = KEY_OCTETS as u64 * 2 + 1;

/// Bits of a file mode that let anybody but the owner in.
const OTHERS: u32 = 0o077;

/// A key that lives as long as the process: for runs that keep nothing.
pub fn random_key() -> Result<[u8; KEY_OCTETS], String> {
    let mut key = [0; KEY_OCTETS];
    SystemRandom::new()
        .fill(&mut key)
        .map_err(|_| "the system gives no random numbers for the pseudonym key".to_owned())?;
    Ok(key)
}

/// Reads the key file, or makes it with mode 0600 where there is none. The error names the file and the remedy. A key
/// is never replaced: another key would give every client another pseudonym.
pub fn load_or_create_key(path: &Path) -> Result<[u8; KEY_OCTETS], String> {
    match File::open(path) {
        Ok(file) => load(path, file),
        Err(e) if e.kind() == ErrorKind::NotFound => create(path),
        Err(e) => Err(unusable(path, &e)),
    }
}

/// Reads a key file that has to be there, under the same conditions.
pub fn load_key(path: &Path) -> Result<[u8; KEY_OCTETS], String> {
    load(path, File::open(path).map_err(|e| unusable(path, &e))?)
}

fn load(path: &Path, file: File) -> Result<[u8; KEY_OCTETS], String> {
    let shown = path.display();
    let mode = file.metadata().map_err(|e| unusable(path, &e))?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(format!(
            "key file {shown} may be read by others (mode {:04o}): run `chmod 600 {shown}`, and remove the file \
             instead if somebody may have read it",
            mode & 0o7777
        ));
    }
    let mut text = String::new();
    file.take(FILE_OCTETS + 1).read_to_string(&mut text).map_err(|e| unusable(path, &e))?;
    from_hex(text.trim_end()).ok_or_else(|| {
        format!(
            "key file {shown} is not {} hexadecimal digits: restore it, or remove it to start with new pseudonyms",
            KEY_OCTETS * 2
        )
    })
}

fn create(path: &Path) -> Result<[u8; KEY_OCTETS], String> {
    let key = random_key()?;
    // `create_new`: of two processes that start at once, one makes the key and the other reads it.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let text = hex(&key) + "\n";
            let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
            written.map(|()| key).map_err(|e| unusable(path, &e))
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            load(path, File::open(path).map_err(|e| unusable(path, &e))?)
        }
        Err(e) => Err(unusable(path, &e)),
    }
}

fn unusable(path: &Path, e: &std::io::Error) -> String {
    format!(
        "cannot use key file {}: {e}\n  mend: name a directory that may be written in [store] directory, or a file in \
         one in `key_file` of [privacy]",
        path.display()
    )
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// The octets of hexadecimal digits, two of them each.
pub(super) fn from_digits(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let octets = digits?
        .chunks_exact(2)
        .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
        .map(|[high, low]| high << 4 | low)
        .collect();
    Some(octets)
}

fn from_hex(text: &str) -> Option<[u8; KEY_OCTETS]> {
    let octets = from_digits(text)?;
    if text.len() == KEY_OCTETS * 2 { octets.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_a_private_file_once_and_reads_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let made = load_or_create_key(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create_key(&path).unwrap(), made);
        assert_ne!(load_or_create_key(&dir.path().join("other")).unwrap(), made);
    }

    #[test]
    fn refuses_a_file_that_others_may_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        load_or_create_key(&path).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = load_or_create_key(&path).unwrap_err();
            assert!(error.contains(&format!("(mode {mode:04o})")), "{error}");
            assert!(error.contains(&format!("run `chmod 600 {}`", path.display())), "{error}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        load_or_create_key(&path).unwrap();
    }

    #[test]
    fn refuses_what_is_no_key_and_leaves_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for text in ["", "00", &"g".repeat(64), &"0".repeat(63), &"0".repeat(70), "\u{e9}"] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let error = load_or_create_key(&path).unwrap_err();
            assert!(error.contains("is not 64 hexadecimal digits"), "{text:?}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let error = load_or_create_key(&dir.path().join("none/key")).unwrap_err();
        assert!(error.contains("cannot use key file"), "{error}");
    }
}
