//! How the server is reached: socket, TCP, TLS, and the ways in which users prove who they are.

use super::{Answer, PASSWORD, SUE, Server, Stage, assert_failed, json, stage, stage_on};
use crate::support::database::Network;

fn leak(network: Network) -> &'static Server {
    Box::leak(Box::new(Server::start(network)))
}

fn tested(stage: &Stage) -> Answer {
    stage.run("test", SUE)
}

#[test]
fn tls_is_used_and_checked_as_configured() {
    let server = leak(Network::Tls);
    let mut stage = stage_on(server, &json!({}), |_| {});
    let user = stage.site.database.name().to_string();
    let host = format!("127.0.0.1:{}", server.port().unwrap());
    stage.site.define("DB_HOST", &host);
    assert_eq!(tested(&stage).status, 200, "TCP");
    stage
        .site
        .sql(&[&format!("ALTER USER {user}@127.0.0.1 REQUIRE SSL")]);
    assert_failed(&tested(&stage), "access denied");

    stage
        .site
        .define_php("MYSQL_CLIENT_FLAGS", "MYSQLI_CLIENT_SSL");
    assert_eq!(
        tested(&stage).status,
        200,
        "TLS, without a CA file nothing is checked"
    );
    let authority = server.authority().display().to_string();
    stage.site.define("BENTO_WEBHOOKS_CA_FILE", &authority);
    assert_eq!(tested(&stage).status, 200, "TLS, checked");
    assert_eq!(stage.run("update", SUE).result(), "applied");

    let foreign = leak(Network::Tls).authority().display().to_string();
    stage.site.define("BENTO_WEBHOOKS_CA_FILE", &foreign);
    assert_failed(&tested(&stage), "the TLS connection failed");
    stage
        .site
        .define("BENTO_WEBHOOKS_CA_FILE", "/nowhere/ca.pem");
    assert_failed(&tested(&stage), "BENTO_WEBHOOKS_CA_FILE cannot be read");
    stage.site.define("BENTO_WEBHOOKS_CA_FILE", &foreign);
    stage.site.define_php(
        "MYSQL_CLIENT_FLAGS",
        "MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT",
    );
    assert_eq!(tested(&stage).status, 200, "TLS, check waived");
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let server = leak(Network::Tcp);
    let mut stage = stage_on(server, &json!({}), |_| {});
    let port = server.port().unwrap();
    stage.site.define("DB_HOST", &format!("127.0.0.1:{port}"));
    assert_eq!(tested(&stage).status, 200, "TCP");
    stage
        .site
        .define_php("MYSQL_CLIENT_FLAGS", "MYSQLI_CLIENT_SSL");
    assert_failed(&tested(&stage), "MYSQL_CLIENT_FLAGS asks for TLS");
}

#[test]
fn users_prove_who_they_are_by_every_plugin() {
    let mut stage = stage();
    let user = stage.site.database.name().to_string();
    stage.site.sql(&["INSTALL SONAME 'auth_ed25519'"]);
    let plugins = [
        format!("mysql_native_password USING PASSWORD('{PASSWORD}')"),
        format!("ed25519 USING PASSWORD('{PASSWORD}')"),
        // The server asks for the second when the first does not fit.
        format!("unix_socket OR ed25519 USING PASSWORD('{PASSWORD}')"),
    ];
    for plugin in plugins {
        stage.site.sql(&[&format!(
            "ALTER USER {user}@localhost IDENTIFIED VIA {plugin}"
        )]);
        // The challenge is random, and not every one was always signed rightly.
        for _ in 0..60 {
            let answer = tested(&stage);
            assert_eq!(answer.status, 200, "{plugin}\n{answer}");
        }
    }
    stage.site.define("DB_PASSWORD", "wr0ng");
    assert_failed(&tested(&stage), "access denied");

    // By the socket alone the server believes in the account of the operating system.
    let id = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    let own = String::from_utf8(id.stdout).unwrap().trim().to_string();
    let sql = if own == "root" {
        // The tests themselves come in as root with no password.
        "ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING '' OR unix_socket"
            .to_string()
    } else {
        format!("CREATE USER `{own}`@localhost IDENTIFIED VIA unix_socket")
    };
    stage
        .site
        .sql(&[&sql, &format!("GRANT ALL ON {user}.* TO `{own}`@localhost")]);
    stage.site.define("DB_USER", &own);
    assert_eq!(tested(&stage).status, 200, "unix_socket");
}
