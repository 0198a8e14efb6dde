//! A file of lines: appended, forced to disk before they count as delivered, reopened where somebody renamed it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Built, Envelope, Fields, Kind, Sink, Soon, Written};
use crate::alert::event::Event;
use crate::alert::format::Format;
use crate::fault::Fault;
use crate::store::Stored;

pub(super) const KIND: Kind = Kind::new("file", build);

/// Octets of one line: far above any event, whose lists are bounded.
const MAX_LINE: usize = 1 << 20;

/// Keys: `path`; `rotate_megabytes` (0: never), `rotate_keep` (5).
fn build(fields: &mut Fields<'_>, _: &'static Format) -> Result<Built, Fault> {
    let path = PathBuf::from(fields.text("path")?);
    let most = fields.number_or("rotate_megabytes", 0, 0..=1_000_000)?.unsigned_abs() << 20;
    let keep = fields.number_or("rotate_keep", 5, 1..=1_000)?;
    let rotation = Rotation { most, keep: u32::try_from(keep).unwrap_or(1) };
    Ok(Built::new(Box::new(Lines), Box::new(Appended { path, rotation, file: None })))
}

struct Lines;

impl Envelope for Lines {
    fn wrap(&self, event: &Event, format: &Format) -> Vec<u8> {
        let mut line = (format.render)(event, MAX_LINE).into_bytes();
        line.push(b'\n');
        line
    }
}

struct Appended {
    path: PathBuf,
    rotation: Rotation,
    file: Option<File>,
}

impl Sink for Appended {
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<Written>> {
        Box::pin(async move {
            let lines: Vec<u8> = letters.iter().flat_map(|l| l.payload.iter().copied()).collect();
            let (path, file) = (self.path.clone(), self.file.take());
            let rotation = self.rotation;
            let work = move || append(&path, file, rotation, &lines);
            let written = tokio::task::spawn_blocking(work).await;
            self.file = Some(written.map_err(io::Error::other)??);
            Ok(Written::Taken(letters.len()))
        })
    }
}

/// Appends to `open`, or to the file that is at `path` now where that is another one.
fn append(path: &Path, open: Option<File>, rotation: Rotation, lines: &[u8]) -> io::Result<File> {
    let mut file = match open {
        Some(file) if is_at(&file, path) => file,
        _ => open_at(path)?,
    };
    let mut before = file.metadata()?.len();
    if rotation.is_due(before, lines.len()) {
        rotation.turn(path)?;
        file = open_at(path)?;
        before = 0;
    }
    let written = file.write_all(lines).and_then(|()| file.sync_data());
    if let Err(error) = written {
        // A line is whole or is not there; what is taken back is written again.
        let _ = file.set_len(before);
        return Err(error);
    }
    Ok(file)
}

/// When a file makes room for the next one: `alerts.jsonl` becomes `alerts.jsonl.1`, that one `.2`, and so on.
#[derive(Clone, Copy)]
struct Rotation {
    /// Octets; 0: never.
    most: u64,
    /// Files that are kept besides the one that is written.
    keep: u32,
}

impl Rotation {
    const fn is_due(self, before: u64, more: usize) -> bool {
        self.most > 0 && before > 0 && before + more as u64 > self.most
    }

    fn turn(self, path: &Path) -> io::Result<()> {
        let numbered = |n: u32| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        for n in (1..self.keep).rev() {
            match std::fs::rename(numbered(n), numbered(n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(path, numbered(1))
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
        _ => false,
    }
}

/// Opens or makes it; where a killed process left half a line, that line is ended.
fn open_at(path: &Path) -> io::Result<File> {
    let told = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).open(path).map_err(told)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Rotation = Rotation { most: 0, keep: 1 };

    #[test]
    fn survives_a_rename_and_ends_half_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        std::fs::write(&path, "{\"half").unwrap();
        let file = append(&path, None, NEVER, b"1\n").unwrap();
        let old = folder.path().join("alerts.jsonl.1");
        std::fs::rename(&path, &old).unwrap();
        let file = append(&path, Some(file), NEVER, b"2\n").unwrap();
        append(&path, Some(file), NEVER, b"3\n").unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "{\"half\n1\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2\n3\n");
    }

    #[test]
    fn makes_room_and_keeps_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        let rotation = Rotation { most: 4, keep: 2 };
        let mut file = None;
        for line in [b"1\n", b"2\n", b"3\n", b"4\n", b"5\n", b"6\n", b"7\n"] {
            file = Some(append(&path, file, rotation, line).unwrap());
        }
        let read = |tail: &str| std::fs::read_to_string(format!("{}{tail}", path.display())).ok();
        assert_eq!(read("").unwrap(), "7\n");
        assert_eq!(read(".1").unwrap(), "5\n6\n");
        assert_eq!(read(".2").unwrap(), "3\n4\n");
        assert_eq!(read(".3"), None);
    }

    #[test]
    fn says_which_file_cannot_be_written() {
        let error = append(Path::new("/nowhere/at/all"), None, NEVER, b"1\n").unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
