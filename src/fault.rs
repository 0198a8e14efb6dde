//! What is wrong with a file that a person wrote, where, and how to mend it.

use std::fmt;

/// One mistake in a configuration, policy or signature file. Line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    pub line: Option<usize>,
    pub what: String,
    /// The remedy, as an imperative sentence.
    pub mend: String,
}

impl Fault {
    pub fn new(file: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, what: what.into(), mend: mend.into() }
    }

    pub const fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// The same, at the line in which byte `offset` of `text` lies.
    pub fn at_offset(self, text: &str, offset: usize) -> Self {
        let line = line_of(text, offset);
        self.at_line(line)
    }
}

/// The line, from 1, in which byte `offset` of `text` lies.
pub fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + memchr::memchr_iter(b'\n', before).count()
}

/// `signatures/helpdesk/x.toml:12: what` and, indented below it, the remedy.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what)?,
            None => write!(f, "{}: {}", self.file, self.what)?,
        }
        if self.mend.is_empty() { Ok(()) } else { write!(f, "\n  mend: {}", self.mend) }
    }
}

impl std::error::Error for Fault {}

/// Several mistakes, each on its own lines: a person mends them all at once.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_file_line_and_remedy() {
        let fault = Fault::new("a.toml", "unknown key `x`", "remove it").at_offset("1\n2\nx", 4);
        assert_eq!(fault.to_string(), "a.toml:3: unknown key `x`\n  mend: remove it");
    }
}
