//! A file of lines: appended, forced to disk before they count as delivered, reopened where somebody renamed it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Built, Envelope, Fields, Kind, Sink, Soon};
use crate::alert::event::Event;
use crate::alert::format::Format;
use crate::fault::Fault;
use crate::store::Stored;

pub(super) const KIND: Kind = Kind { name: "file", build };

/// Octets of one line: far above any event, whose lists are bounded.
const MAX_LINE: usize = 1 << 20;

fn build(fields: &mut Fields<'_>, _: &'static Format) -> Result<Built, Fault> {
    let path = PathBuf::from(fields.text("path")?);
    Ok(Built { envelope: Box::new(Lines), sink: Box::new(Appended { path, file: None }) })
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
    file: Option<File>,
}

impl Sink for Appended {
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<()>> {
        Box::pin(async move {
            let lines: Vec<u8> = letters.iter().flat_map(|l| l.payload.iter().copied()).collect();
            let (path, file) = (self.path.clone(), self.file.take());
            let written = tokio::task::spawn_blocking(move || append(&path, file, &lines)).await;
            self.file = Some(written.map_err(io::Error::other)??);
            Ok(())
        })
    }
}

/// Appends to `open`, or to the file that is at `path` now where that is another one.
fn append(path: &Path, open: Option<File>, lines: &[u8]) -> io::Result<File> {
    let mut file = match open {
        Some(file) if is_at(&file, path) => file,
        _ => open_at(path)?,
    };
    let before = file.metadata()?.len();
    let written = file.write_all(lines).and_then(|()| file.sync_data());
    if let Err(error) = written {
        // A line is whole or is not there; what is taken back is written again.
        let _ = file.set_len(before);
        return Err(error);
    }
    Ok(file)
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

    #[test]
    fn survives_a_rename_and_ends_half_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        std::fs::write(&path, "{\"half").unwrap();
        let file = append(&path, None, b"1\n").unwrap();
        let old = folder.path().join("alerts.jsonl.1");
        std::fs::rename(&path, &old).unwrap();
        let file = append(&path, Some(file), b"2\n").unwrap();
        append(&path, Some(file), b"3\n").unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "{\"half\n1\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2\n3\n");
    }

    #[test]
    fn says_which_file_cannot_be_written() {
        let error = append(Path::new("/nowhere/at/all"), None, b"1\n").unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
