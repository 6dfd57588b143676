//! `--listen`: a second listener, for other machines. It only serves endpoints with keys, and requires
//! TLS unless its address is local.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::error::{Error, Result, refused};

/// The flags of the second listener.
#[derive(Debug, Args)]
pub struct OutsideArgs {
    /// Where other machines can call endpoints with keys; needs --tls-cert and --tls-key.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// PEM file with the certificate of --listen, and those that lead to its root.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with its private key.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

/// The second listener.
pub struct Outside {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<TlsAcceptor>,
}

impl Outside {
    /// Starts listening and reports the address on stderr. `None` without `--listen`.
    pub async fn open(args: &OutsideArgs) -> Result<Option<Self>> {
        let tls = match (&args.tls_cert, &args.tls_key) {
            (Some(cert), Some(key)) => Some(acceptor(cert, key)?),
            (None, None) => None,
            (Some(_), None) => return refused("--tls-key is missing: --tls-cert needs it"),
            (None, Some(_)) => return refused("--tls-cert is missing: --tls-key needs it"),
        };
        let Some(address) = args.listen else {
            return match tls {
                Some(_) => refused("--listen is missing: --tls-cert and --tls-key are for it"),
                None => Ok(None),
            };
        };
        let is_loopback = address.ip().to_canonical().is_loopback();
        if tls.is_none() && !is_loopback {
            return refused(format!(
                "--listen {address} can be reached from other machines and needs --tls-cert and --tls-key: without TLS, anyone on the way could read the keys"
            ));
        }
        let failed = |source: io::Error| Error::Io {
            what: format!("--listen: can't listen on {address}"),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let whence = if is_loopback {
            "this machine"
        } else {
            "other machines"
        };
        crate::log(format_args!(
            "endpoints with a key can be reached from {whence} at {scheme}://{address}/e/<slug>/v1"
        ));
        Ok(Some(Self { listener, tls }))
    }
}

fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor> {
    let certificates = certificates(cert)?;
    let key = private_key(key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        });
    let mut config = config.or_else(|error| match error {
        rustls::Error::InconsistentKeys(_) => refused(format!(
            "--tls-key: it isn't the key of the certificate in {}",
            cert.display()
        )),
        error => refused(format!(
            "--tls-cert: {} can't be used with --tls-key: {error}",
            cert.display()
        )),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = read("--tls-cert", file)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .or_else(|error| refused(format!("--tls-cert: {}: {error}", file.display())))?;
    if certificates.is_empty() {
        return refused(format!(
            "--tls-cert: {} has no certificate in PEM (BEGIN CERTIFICATE)",
            file.display()
        ));
    }
    Ok(certificates)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    let pem = read("--tls-key", file)?;
    let is_encrypted = |line: &[u8]| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY")
            || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    };
    if pem.split(|byte| *byte == b'\n').any(is_encrypted) {
        return refused(format!(
            "--tls-key: the key in {0} is encrypted. Decrypt it with: openssl pkey -in {0} -out FILE",
            file.display()
        ));
    }
    PrivateKeyDer::from_pem_slice(&pem).or_else(|error| match error {
        PemError::NoItemsFound => refused(format!(
            "--tls-key: {} has no private key in PEM (BEGIN PRIVATE KEY)",
            file.display()
        )),
        _ => refused(format!(
            "--tls-key: {} is no readable PEM file",
            file.display()
        )),
    })
}

fn read(flag: &str, file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|source| Error::io(&format!("{flag}: can't read"), file, source))
}
