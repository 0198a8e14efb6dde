//! Whether an encrypted ClientHello is real, by what DNS has shown of public names and configurations.

use serde::Serialize;

/// What is known of encrypted_client_hello in a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ech {
    #[default]
    None,
    Grease,
    Real,
    /// The extension is there; whether real or GREASE is not known.
    Unknown,
}
