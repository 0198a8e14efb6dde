//! Logs in lines: words parted by blanks, and JSON Lines.

use std::io::{self, BufRead, Read, Write};

use serde_json::{Map, Value};

use super::{COLUMNS, Failure, Log, fields};

/// Octets of a line at most.
const MAX_LINE: u64 = 1 << 20;

impl Log<'_> {
    pub(super) fn plain(
        &mut self,
        mut input: impl BufRead,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let number = match &self.args.column {
            None => 1,
            Some(text) => text.parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(|| {
                let what = format!("a plain log has no column {text:?}");
                self.wrong(1, &what, "write the number of the word, from 1, or say --format")
            })?,
        };
        let mut line = Vec::new();
        while self.line(&mut input, &mut line)? {
            let text = String::from_utf8_lossy(&line);
            let word = text.split_ascii_whitespace().nth(number - 1).unwrap_or_default();
            let verdict = self.judge(word);
            if self.args.matched && verdict.is_none() {
                continue;
            }
            out.write_all(&line)?;
            for text in fields(verdict.as_ref()) {
                write!(out, "\t{text}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    pub(super) fn json(
        &mut self,
        mut input: impl BufRead,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let path = self.args.column.clone().unwrap_or_else(|| "host".to_owned());
        let mut line = Vec::new();
        let mut number = 0;
        while self.line(&mut input, &mut line)? {
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let object: Map<String, Value> = serde_json::from_slice(&line).map_err(|error| {
                self.wrong(number, &format!("no JSON object: {error}"), "write one object a line")
            })?;
            self.refuse_taken(number, |title| object.contains_key(title))?;
            let verdict = self.judge(found(&object, &path).unwrap_or_default());
            if self.args.matched && verdict.is_none() {
                continue;
            }
            // The keys that were there stay as they were written.
            let text = line.trim_ascii();
            out.write_all(text.strip_suffix(b"}").unwrap_or(text))?;
            let mut comma = if object.is_empty() { "" } else { "," };
            let columns = COLUMNS.iter().zip(self.titles());
            for ((name, title), text) in columns.zip(fields(verdict.as_ref())) {
                let value = match *name {
                    "ambiguous" => Value::from(text == "true"),
                    _ if text.is_empty() => Value::Null,
                    _ => Value::from(text),
                };
                write!(out, "{comma}{}:{value}", Value::from(title))?;
                comma = ",";
            }
            writeln!(out, "}}")?;
        }
        Ok(())
    }

    /// Reads a line without its end. `false` at the end of input.
    fn line(&self, input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, Failure> {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', line)? == 0 {
            return Ok(false);
        }
        match line.pop() {
            Some(b'\n') => {
                line.pop_if(|last| *last == b'\r');
            }
            // The last line may have no end.
            Some(last) if (line.len() as u64) < MAX_LINE - 1 => line.push(last),
            _ => {
                return Err(
                    io::Error::other(format!("{}: a line of more than 1 MiB", self.name)).into()
                );
            }
        }
        Ok(true)
    }
}

/// The text at a key, or at keys parted by dots.
fn found<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a str> {
    if let Some(value) = object.get(path) {
        return value.as_str();
    }
    let mut keys = path.split('.');
    let first = object.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))?.as_str()
}
