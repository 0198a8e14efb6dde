//! Logs in columns: CSV and TSV.

use std::cell::Cell;
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;

use super::{Failure, Log, fields};

/// Octets of a row at most. A quote that is never closed must not bring a whole log into memory.
const MAX_ROW: u64 = 16 << 20;

impl Log<'_> {
    pub(super) fn table(
        &mut self,
        delimiter: u8,
        input: impl BufRead,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let budget = Rc::new(Cell::new(MAX_ROW));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .quoting(delimiter == b',')
            .from_reader(Metered { input, left: budget.clone() });
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            // What is no CSV is written as it was read.
            .quote_style(if delimiter == b',' {
                csv::QuoteStyle::Necessary
            } else {
                csv::QuoteStyle::Never
            })
            .from_writer(out);
        let mut record = csv::ByteRecord::new();
        let mut column = None;
        loop {
            budget.set(MAX_ROW);
            let more = reader.read_byte_record(&mut record).map_err(|error| {
                let line = reader.position().line();
                self.wrong(line, &error.to_string(), "mend the row, or say --format")
            })?;
            if !more {
                break;
            }
            let at = match column {
                Some(at) => at,
                None => {
                    let at = self.find(&record)?;
                    column = Some(at);
                    if !self.args.no_header {
                        let taken = |title: &str| record.iter().any(|f| f == title.as_bytes());
                        self.refuse_taken(1, taken)?;
                        self.titles().iter().for_each(|title| record.push_field(title.as_bytes()));
                        writer.write_byte_record(&record)?;
                        continue;
                    }
                    at
                }
            };
            let field = String::from_utf8_lossy(record.get(at).unwrap_or_default()).into_owned();
            let verdict = self.judge(&field);
            if self.args.matched && verdict.is_none() {
                continue;
            }
            fields(verdict.as_ref()).iter().for_each(|text| record.push_field(text.as_bytes()));
            writer.write_byte_record(&record)?;
        }
        writer.flush()?;
        Ok(())
    }

    /// The index of the column of the host, from 0; `first` is the header, or the first row.
    fn find(&self, first: &csv::ByteRecord) -> Result<usize, Failure> {
        let asked = self.args.column.as_deref();
        if !self.args.no_header {
            let name = asked.unwrap_or("host");
            let named = |field: &[u8]| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
            if let Some(at) = first.iter().position(named) {
                return Ok(at);
            }
        }
        let number = asked.or(self.args.no_header.then_some("1")).and_then(|n| n.parse().ok());
        match number {
            Some(n) if (1..=first.len()).contains(&n) => Ok(n - 1),
            _ => {
                let known: Vec<_> = first.iter().map(String::from_utf8_lossy).collect();
                let what = format!("no column {:?}", asked.unwrap_or("host"));
                let mend = format!("say --column, one of {}, or its number", known.join(", "));
                Err(self.wrong(1, &what, &mend))
            }
        }
    }
}

/// Gives as many octets as a row may have, then fails.
struct Metered<R> {
    input: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        // The reader takes its buffer's worth ahead of the row: that is far less than the bound.
        match self.left.get().checked_sub(n as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::other("a row of more than 16 MiB")),
        }
        Ok(n)
    }
}
