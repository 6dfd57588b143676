//! Decides which servers are trusted (T36): those that the system's roots vouch for, or Node's roots if the
//! system has none, plus `NODE_EXTRA_CA_CERTS`.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

#[cfg(unix)]
use crate::error::exhaustion_code;
use crate::error::{Error, Result, notice};
use crate::json::without_bom;

/// The roots that come with Node, if they were needed.
static NODES_ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();

/// Sets the roots that come with Node, as PEM text, for a system that has none.
///
/// # Errors
/// When the text contains no usable certificate.
pub fn take_nodes_roots(pem: &str) -> Result<()> {
    let roots = certificates(pem.as_bytes()).map_err(Error::plain)?;
    // Another thread may have set them already. They are the same.
    let _ = NODES_ROOTS.set(roots);
    Ok(())
}

/// The TLS configuration of every connection.
///
/// # Errors
/// [`Error::NoRoots`] when the system has no roots and Node's haven't been set yet.
pub fn config(extra_ca_certs: Option<&Path>) -> Result<ClientConfig> {
    let unusable = |error: TlsError| Error::plain(format!("Can't set up the HTTP client: {error}"));
    let provider = Arc::new(ring::default_provider());
    let trust = Trust::new(&provider, extra_ca_certs)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What is wrong with a server or its certificate: Node's error code, and a message.
#[must_use]
pub fn explain(error: &TlsError) -> (&'static str, String) {
    let TlsError::InvalidCertificate(reason) = error else {
        return ("EPROTO", format!("TLS: {error}"));
    };
    let (code, words) = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("CERT_HAS_EXPIRED", "the server's certificate has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "CERT_NOT_YET_VALID",
            "the server's certificate is not valid yet",
        ),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => (
            "ERR_TLS_CERT_ALTNAME_INVALID",
            "the server's certificate names no host; make one with a subject alternative name \
             (openssl req -x509 -addext subjectAltName=DNS:localhost)",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "ERR_TLS_CERT_ALTNAME_INVALID",
            "the server's certificate is for another host name",
        ),
        CertificateError::UnknownIssuer => (
            "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
            "no authority that is trusted here signed the server's certificate; if that is as it \
             should be, set NODE_EXTRA_CA_CERTS to a PEM file with the authority's certificate",
        ),
        _ if is_authority(error) => (
            "DEPTH_ZERO_SELF_SIGNED_CERT",
            "the server's certificate is self-signed; if that is as it should be, set \
             NODE_EXTRA_CA_CERTS to a PEM file with that certificate",
        ),
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => (
            "CERT_SIGNATURE_FAILURE",
            "the signature of the server's certificate is not that of the authority it names, or of a \
             kind that is not supported; if the certificate is to be trusted, set \
             NODE_EXTRA_CA_CERTS to a PEM file with it, or with its authority's",
        ),
        _ => {
            let words = format!("the server's certificate is not usable: {reason}");
            return ("CERT_REJECTED", words);
        }
    };
    (code, words.to_owned())
}

/// Whether the certificate is valid except that it may only sign others. `openssl req -x509` creates such
/// certificates for servers.
fn is_authority(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(CertificateError::Other(inner))
            if inner.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
    )
}

fn is_misnamed(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
    )
}

/// Fails if the process is out of file descriptors. The system's roots would then seem absent, and a client
/// built without them would be kept for the life of the process.
#[cfg(unix)]
fn out_of_descriptors() -> Result<()> {
    let opened = std::fs::File::open("/dev/null");
    match opened.as_ref().err().and_then(exhaustion_code) {
        None => Ok(()),
        Some(code) => Err(Error::Network {
            code: Some(code.to_owned()),
            message: "can't read the system's root certificates: too many open files".to_owned(),
        }),
    }
}

/// On other systems, the roots aren't in files.
#[cfg(not(unix))]
fn out_of_descriptors() -> Result<()> {
    Ok(())
}

/// The trusted certificates.
#[derive(Debug)]
struct Trust {
    roots: Verifier,
    extra: Vec<CertificateDer<'static>>,
}

impl Trust {
    fn new(provider: &Arc<CryptoProvider>, extra_ca_certs: Option<&Path>) -> Result<Self> {
        let extra = extra_ca_certs.map_or_else(Vec::new, |path| {
            read(path).unwrap_or_else(|error| {
                // As in Node, a stale setting must not break connections that don't need it.
                notice(&format!("NODE_EXTRA_CA_CERTS is ignored: {error}"));
                Vec::new()
            })
        });
        Self::of(provider, extra)
    }

    fn of(provider: &Arc<CryptoProvider>, extra: Vec<CertificateDer<'static>>) -> Result<Self> {
        let unusable = |error: TlsError| Error::plain(format!("NODE_EXTRA_CA_CERTS: {error}"));
        let with = |roots: Vec<CertificateDer<'static>>| {
            Verifier::new_with_extra_roots(roots, Arc::clone(provider)).map_err(unusable)
        };
        let roots = match Verifier::new(Arc::clone(provider)) {
            Ok(system) if extra.is_empty() => system,
            Ok(_) => with(extra.clone())?,
            Err(_) => {
                out_of_descriptors()?;
                let nodes = NODES_ROOTS.get().ok_or(Error::NoRoots)?;
                // Whoever set these variables wanted to choose the roots, so report that Node's are used
                // instead.
                for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
                    if std::env::var_os(name).is_some() {
                        notice(&format!("{name} names no certificate: Node's are trusted"));
                    }
                }
                with([nodes.as_slice(), &extra].concat())?
            }
        };
        Ok(Self { roots, extra })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        let verdict = self.roots.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verdict {
            // The user listed this very certificate, so accept it. Its dates are checked before its usage,
            // and its chain before its name, so an error in either wouldn't reach this branch.
            Err(error)
                if (is_authority(&error) || is_misnamed(&error))
                    && self.extra.contains(end_entity)
                    && is_self_signed(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.roots.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.roots.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate).is_ok_and(|cert| cert.issuer() == cert.subject())
}

fn read(path: &Path) -> std::result::Result<Vec<CertificateDer<'static>>, String> {
    let of = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let pem = std::fs::read(path).map_err(|error| of(&error))?;
    certificates(&pem).map_err(|error| of(&error))
}

/// The usable certificates in a PEM text. An unusable one doesn't affect the others.
fn certificates(pem: &[u8]) -> std::result::Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(without_bom(pem))
        .filter_map(std::result::Result::ok)
        .filter(|certificate| webpki::anchor_from_trusted_cert(certificate).is_ok())
        .collect();
    if certificates.is_empty() {
        return Err("no usable certificate in it".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
