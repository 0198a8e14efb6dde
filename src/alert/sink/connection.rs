//! Connections of sinks: TCP, and TLS over it with the name of the server checked and a certificate of our own where asked for.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Fields;
use crate::fault::Fault;

/// How long connecting, and writing one batch, may take before the connection counts as broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Both ways of a connection, whatever it runs over.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects to `address` ("host:port").
pub(super) async fn connect(address: &str, tls: Option<&Tls>) -> io::Result<Box<dyn Duplex>> {
    let stream = in_time(TcpStream::connect(address)).await?;
    stream.set_nodelay(true)?;
    match tls {
        None => Ok(Box::new(stream)),
        Some(tls) => {
            let connecting = tls.connector.connect(tls.name.clone(), stream);
            Ok(Box::new(in_time(connecting).await?))
        }
    }
}

pub(super) async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    }
}

/// How a sink speaks TLS.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// Keys of a sink that speaks TLS; without it they are unknown, and refused: `server_name` (`host`) and those of
    /// [`tls_config`].
    pub(super) fn read_keys(fields: &mut Fields<'_>, host: &str) -> Result<Self, Fault> {
        let config = tls_config(fields)?;
        let name = fields.text_some("server_name")?.unwrap_or_else(|| host.to_owned());
        let name = ServerName::try_from(name.clone()).map_err(|_| {
            let what = format!("`{name}` is neither a host name nor an address");
            fields.fault(
                "server_name",
                what,
                "give the name that stands in the server's certificate",
            )
        })?;
        Ok(Self { connector: TlsConnector::from(config), name })
    }
}

/// Keys `ca_file` (the authorities of the system), `client_certificate_file` and `client_key_file`.
pub(super) fn tls_config(fields: &mut Fields<'_>) -> Result<Arc<ClientConfig>, Fault> {
    let roots = roots(fields)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| fields.fault("kind", error.to_string(), "report this"))?
        .with_root_certificates(roots);
    let chain = fields.text_some("client_certificate_file")?;
    let key = fields.text_some("client_key_file")?;
    let config = match (chain, key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(chain), Some(key)) => {
            let chain = certificates(fields, "client_certificate_file", &chain)?;
            let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| {
                fields.fault("client_key_file", format!("{key}: {error}"), PEM_KEY)
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                fields.fault(
                    "client_key_file",
                    error.to_string(),
                    "give the key of this certificate",
                )
            })?
        }
        (Some(_), None) => {
            let what = "a client's certificate without its key";
            return Err(fields.fault("client_certificate_file", what, "add `client_key_file`"));
        }
        (None, Some(_)) => {
            let what = "a client's key without its certificate";
            return Err(fields.fault("client_key_file", what, "add `client_certificate_file`"));
        }
    };
    Ok(Arc::new(config))
}

fn roots(fields: &mut Fields<'_>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    match fields.text_some("ca_file")? {
        Some(file) => {
            for authority in certificates(fields, "ca_file", &file)? {
                roots.add(authority).map_err(|error| {
                    fields.fault("ca_file", format!("{file}: {error}"), PEM_CERTIFICATES)
                })?;
            }
        }
        None => {
            // The system's, of which one that cannot be read is no reason to trust none.
            let (_, _) =
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                let what = "this system knows no certificate authorities";
                return Err(fields.fault(
                    "kind",
                    what,
                    "install ca-certificates, or give `ca_file`",
                ));
            }
        }
    }
    Ok(roots)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

const PEM_CERTIFICATES: &str = "give a file of certificates in PEM";
const PEM_KEY: &str =
    "give a file with a private key in PEM, readable by the user that runs saastap";

fn certificates(
    fields: &Fields<'_>,
    key: &'static str,
    file: &str,
) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let fault = |what: String| fields.fault(key, what, PEM_CERTIFICATES);
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(Path::new(file))
        .and_then(Iterator::collect)
        .map_err(|error| fault(format!("{file}: {error}")));
    match all {
        Ok(all) if all.is_empty() => Err(fault(format!("{file}: there is no certificate in it"))),
        all => all,
    }
}
