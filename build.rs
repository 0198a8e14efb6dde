//! Embeds `signatures/` in the binary: writes one `(path, text)` row per file, so that a new vendor is a new file and no
//! line of code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    println!("cargo::rerun-if-changed=signatures");
    let mut files = Vec::new();
    collect(&root.join("signatures"), &mut files)?;
    files.sort();
    let mut rows = String::from("&[\n");
    for file in &files {
        let shown = file.strip_prefix(&root).unwrap_or(file);
        writeln!(rows, "    ({:?}, include_str!({:?})),", shown, file).map_err(io::Error::other)?;
    }
    rows.push_str("]\n");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("signatures.rs"), rows)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    Ok(())
}
