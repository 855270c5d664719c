//! Whether a site's certificate is accepted, and for how long it will be.
//!
//! No certificate is read: the same check that a handshake makes is made again for later days, so that what ends first
//! counts, be it the site's certificate or one above it.

use super::{Failure, io_failure};
use crate::http::Trust;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time to connect, and for each step of the handshake.
const TIME: Duration = Duration::from_secs(3);
/// As many days are looked ahead.
const FARTHEST: u64 = 400;
const DAY: u64 = 24 * 60 * 60;

/// What is to be said about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Accepted today and for this many days more, up to 400.
    Good(u64),
    /// It has expired, or one above it has.
    Expired,
    /// It is for other names.
    OtherName,
    /// Nobody who is trusted has signed it, or the server does not send those in between.
    Unknown,
    /// It is not accepted for another reason.
    Bad,
}

/// Looks at the certificate that the server at `address` has for the host.
pub fn certificate(host: &str, address: SocketAddr, trust: &Trust) -> Result<Certificate, Failure> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| Failure::NoName)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots(trust)), Arc::clone(&provider));
    let witness = Arc::new(Witness {
        verifier: verifier.build().map_err(|_| Failure::Tls)?,
        seen: Mutex::new(None),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Failure::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let shaken = shake_hands(config, name, address);
    let seen = *witness.seen.lock().unwrap_or_else(PoisonError::into_inner);
    match (seen, shaken) {
        (Some(certificate), _) => Ok(certificate),
        (None, Err(error)) => Err(match io_failure(&error) {
            Failure::Broken | Failure::Slow => Failure::NoConnection,
            failure => failure,
        }),
        (None, Ok(())) => Err(Failure::Tls),
    }
}

fn shake_hands(config: ClientConfig, name: ServerName<'static>, to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, TIME)?;
    stream.set_read_timeout(Some(TIME))?;
    stream.set_write_timeout(Some(TIME))?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    connection.send_close_notify();
    connection.complete_io(&mut stream)?;
    stream.flush()
}

fn roots(trust: &Trust) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Own(certificates) => {
            let ders = certificates.iter();
            roots.add_parsable_certificates(
                ders.map(|own| CertificateDer::from(own.der().to_vec())),
            );
        }
        Trust::Public | Trust::Any => {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
    }
    roots
}

/// Checks as usual and remembers what came of it.
#[derive(Debug)]
struct Witness {
    verifier: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<Certificate>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let on_day = |day: u64| {
            let then = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs() + day * DAY));
            self.verifier
                .verify_server_cert(own, above, name, ocsp, then)
        };
        let today = on_day(0);
        let certificate = match &today {
            Ok(_) => Certificate::Good(last_day(&|day| on_day(day).is_ok())),
            Err(Error::InvalidCertificate(error)) => judge(error),
            Err(_) => Certificate::Bad,
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
        today
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, own, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, own, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn judge(error: &CertificateError) -> Certificate {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Certificate::Expired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Certificate::OtherName
        }
        CertificateError::UnknownIssuer => Certificate::Unknown,
        _ => Certificate::Bad,
    }
}

/// The last day on which it still is good, up to the farthest; it is on day 0, and never again once it is not.
fn last_day(is_good: &dyn Fn(u64) -> bool) -> u64 {
    let (mut good, mut bad) = (0, FARTHEST + 1);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if is_good(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_day_is_found() {
        for last in [0, 1, 13, 90, 399, 400, 5000] {
            assert_eq!(last_day(&|day| day <= last), last.min(FARTHEST), "{last}");
        }
    }
}
