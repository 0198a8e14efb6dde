//! Certificates of the test's own: an authority, a server's and a client's.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Files in PEM below one folder.
pub struct Authority {
    pub ca: PathBuf,
    pub server: Pair,
    pub client: Pair,
    /// Of a server that is known by its address, 127.0.0.1.
    pub local: Pair,
}

pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// The server is called `siem.test`, and nothing else.
    pub fn make(folder: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority of the test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let ca = folder.join("ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let pair = |name: &str, host: &str| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, host);
            let certificate = params.signed_by(&key, &issuer).unwrap();
            let pair = Pair {
                certificate: folder.join(format!("{name}.pem")),
                key: folder.join(format!("{name}.key")),
            };
            std::fs::write(&pair.certificate, certificate.pem()).unwrap();
            std::fs::write(&pair.key, key.serialize_pem()).unwrap();
            pair
        };
        Self {
            server: pair("server", "siem.test"),
            client: pair("client", "sensor.test"),
            local: pair("local", "127.0.0.1"),
            ca,
        }
    }
}
