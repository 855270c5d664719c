//! HTTPS to Bento: a real TLS handshake with a certificate that is trusted, one that is not, and one for another host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use support::bento::{Bento, Subscriber, World};
use support::cgi::{Program, Request};
use support::database::{Network, Server};
use support::recording::Base;
use support::site::Site;

const SUE: &str = "c0ffee00-0000-4000-8000-000000000003";

/// Takes TLS off every connection and hands the bytes to `behind`; returns its port. It ends with the process.
fn tls_front(folder: &Path, behind: String) -> u16 {
    let pem = |name: &str| BufReader::new(File::open(folder.join(name)).unwrap());
    let chain = CertificateDer::pem_reader_iter(pem("cert.pem"));
    let chain: Vec<CertificateDer<'static>> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_reader(pem("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let tls = ServerConnection::new(config.clone()).unwrap();
            // A client that does not trust the certificate hangs up: that is what is tested.
            let _ = pass(StreamOwned::new(tls, client.unwrap()), &behind);
        }
    });
    port
}

/// One request without a body and its answer.
fn pass(mut client: StreamOwned<ServerConnection, TcpStream>, behind: &str) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut server = TcpStream::connect(behind)?;
    server.write_all(&head)?;
    server.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    client.write_all(&answer)?;
    client.conn.send_close_notify();
    client.flush()
}

#[test]
fn bento_is_asked_over_tls_only_when_its_certificate_is_right() {
    let server = Server::start(Network::Tls);
    let base = Base::load("");
    let mut world = World::new(base.account(), &base.tags());
    world
        .subscribers
        .push(Subscriber::new(SUE, "sue@example.test", &["13"]));
    let bento = Bento::start(world);
    let behind = bento
        .api_url()
        .replace("http://", "")
        .replace("/api/v1", "");
    let port = tls_front(server.authority().parent().unwrap(), behind);
    let mut site = Site::on(&server, &base, &json!({}));
    let program = Program::new(env!("CARGO_BIN_EXE_bento-webhooks"), site.folder());
    let target = "/?wpf_action=update_tags&access_key=a1b2c3d4";
    let request = Request::post(target, &json!({ "id": SUE }).to_string());

    site.define(
        "BENTO_WEBHOOKS_API_URL",
        &format!("https://localhost:{port}/api/v1"),
    );
    let untrusted = program.run(&request);
    assert_eq!(untrusted.result(), "queued", "{untrusted:?}");
    assert_eq!(bento.calls().len(), 0);

    let authority = server.authority().display().to_string();
    site.define("BENTO_WEBHOOKS_CA_FILE", &authority);
    let trusted = program.run(&request);
    assert_eq!(trusted.result(), "applied", "{trusted:?}");
    assert_eq!(bento.calls().len(), 1);

    site.define(
        "BENTO_WEBHOOKS_API_URL",
        &format!("https://127.0.0.2:{port}/api/v1"),
    );
    let other_host = program.run(&request);
    assert_eq!(other_host.result(), "queued", "{other_host:?}");
    assert_eq!(bento.calls().len(), 1);
}
