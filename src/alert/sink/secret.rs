//! Secrets of sinks: named in the configuration by a file or an environment variable, read when they are used, never shown.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::Fields;
use crate::fault::Fault;

/// Where a secret is. It is read anew each time, so that it may be changed while the sensor runs.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    File(PathBuf),
    Environment(String),
}

impl Secret {
    /// The secret of the keys `<name>_file` and `<name>_env`, of which at most one may be given. It has to be there.
    pub(super) fn read_key(
        fields: &mut Fields<'_>,
        file: &'static str,
        env: &'static str,
    ) -> Result<Option<Self>, Fault> {
        let (key, secret) = match (fields.text_some(file)?, fields.text_some(env)?) {
            (Some(_), Some(_)) => {
                let what = format!("both `{file}` and `{env}` are given");
                return Err(fields.fault(env, what, "keep one of them"));
            }
            (Some(path), None) => (file, Self::File(path.into())),
            (None, Some(name)) => (env, Self::Environment(name)),
            (None, None) => return Ok(None),
        };
        match secret.reveal() {
            Ok(_) => Ok(Some(secret)),
            Err(error) => {
                let mend = "write the secret there, readable by the user that runs saastap";
                Err(fields.fault(key, error.to_string(), mend))
            }
        }
    }

    /// Without the line end that editors leave.
    pub(super) fn reveal(&self) -> io::Result<Revealed> {
        let (text, place) = match self {
            Self::File(path) => {
                let told =
                    |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
                (std::fs::read_to_string(path).map_err(told)?, path.display().to_string())
            }
            Self::Environment(name) => {
                let value = std::env::var(name).map_err(|_| {
                    io::Error::other(format!("the environment has no `{name}`, or no text in it"))
                })?;
                (value, name.clone())
            }
        };
        let text = text.trim_end();
        // It becomes the value of a header.
        if text.is_empty() || !text.bytes().all(|b| (b' '..0x7f).contains(&b)) {
            return Err(io::Error::other(format!("{place}: the secret is not one line of ASCII")));
        }
        Ok(Revealed(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "Secret in {}", path.display()),
            Self::Environment(name) => write!(f, "Secret in ${name}"),
        }
    }
}

/// A secret in plain text; it shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Revealed(String);

impl Revealed {
    pub(super) fn plain(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revealed(...)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_anew_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        let secret = Secret::File(path.clone());
        let revealed = secret.reveal().unwrap();
        assert_eq!(revealed.plain(), "s3cret");
        assert!(!format!("{secret:?} {revealed:?}").contains("s3cret"));
        std::fs::write(&path, "other").unwrap();
        assert_eq!(secret.reveal().unwrap().plain(), "other");
        for bad in ["", "\n", "two\nlines", "ä"] {
            std::fs::write(&path, bad).unwrap();
            let error = secret.reveal().unwrap_err().to_string();
            assert!(error.contains("token") && !error.contains("lines"), "{error}");
        }
        assert!(Secret::Environment("SAASTAP_NO_SUCH".into()).reveal().is_err());
    }
}
