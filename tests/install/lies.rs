//! Servers that answer wrongly: nothing of it passes for success, and all is put back.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::hosting::{Apache, Gateway, Hosting, Layout, Php};

/// Something between the world and the server that changes what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Liar {
    /// Answers everything with a friendly page.
    Friendly,
    /// Gives the first answer to a webhook again and again.
    Cache,
    /// Sends POST elsewhere.
    RedirectsPost,
    /// Lets no body through.
    EatsBody,
    /// Cuts bodies short.
    CutsBody,
    /// Turns POST away.
    BlocksPost,
    /// Answers webhooks as WP Fusion would, and as we would, but without our nonce.
    Imitates,
    /// Sends every webhook to the program, those of other plugins too.
    TakesAll,
    /// The home page fails once our lines are there.
    BreaksHome,
}

const LIARS: [Liar; 9] = [
    Liar::Friendly,
    Liar::Cache,
    Liar::RedirectsPost,
    Liar::EatsBody,
    Liar::CutsBody,
    Liar::BlocksPost,
    Liar::Imitates,
    Liar::TakesAll,
    Liar::BreaksHome,
];

/// Listens on a port of its own and passes on to another, lying.
fn between(liar: Liar, port: u16, htaccess: std::path::PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let first: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (first, htaccess) = (Arc::clone(&first), htaccess.clone());
            thread::spawn(move || serve(liar, client, port, &first, &htaccess));
        }
    });
    address
}

fn serve(
    liar: Liar,
    client: TcpStream,
    port: u16,
    first: &Mutex<Option<Vec<u8>>>,
    htaccess: &std::path::Path,
) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let (mut head, mut length) = (Vec::new(), 0);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let request = line.clone();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse::<usize>().ok()?;
        } else if !lower.starts_with("connection:") && line.trim() != "" {
            head.push(line.clone());
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (is_post, is_webhook) = (request.starts_with("POST"), request.contains("wpf_action="));
    let mut request = request;
    match liar {
        Liar::Friendly => {
            return answer(
                client,
                "200 OK",
                "text/html",
                "<h1>Welcome</h1>{\"success\":true}",
            );
        }
        Liar::RedirectsPost if is_post => {
            return answer(
                client,
                "301 Moved Permanently\r\nLocation: https://www.shop.example/",
                "text/html",
                "",
            );
        }
        Liar::BlocksPost if is_post => {
            return answer(
                client,
                "403 Forbidden",
                "text/html",
                "Request blocked by mod_security",
            );
        }
        Liar::Imitates if is_webhook => {
            let text = "{\"success\":true,\"result\":\"tested\",\"program\":\"bento-webhooks/9\",\"nonce\":\"abc\",\"length\":0,\"sha256\":\"\",\"key\":\"address\"}";
            return answer(client, "200 OK", "application/json", text);
        }
        Liar::EatsBody => body.clear(),
        Liar::CutsBody => body.truncate(body.len() / 2),
        Liar::TakesAll => request = request.replace("wpf_action=thrivecart", "wpf_action=test"),
        Liar::BreaksHome if !is_webhook && !request.contains("bw-probe") => {
            let text = std::fs::read_to_string(htaccess).unwrap_or_default();
            if text.contains("# BEGIN Bento Webhooks") {
                return answer(client, "500 Internal Server Error", "text/html", "broken");
            }
        }
        _ => {}
    }
    let passed = pass(port, &request, &head, &body)?;
    let mut first = first.lock().ok()?;
    let said = match (liar, is_webhook) {
        (Liar::Cache, true) => first.get_or_insert(passed).clone(),
        _ => passed,
    };
    (&client).write_all(&said).ok()
}

fn answer(mut client: TcpStream, status: &str, kind: &str, body: &str) -> Option<()> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    client.write_all(text.as_bytes()).ok()
}

/// What the real server says.
fn pass(port: u16, request: &str, head: &[String], body: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let mut text = format!("{request}{}", head.concat());
    text += &format!(
        "Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    server.write_all(text.as_bytes()).ok()?;
    server.write_all(body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn a_wrong_answer_never_counts_as_success() {
    let Some(apache) = Apache::serve(Hosting::everything(Php::Fpm, Gateway::Cgid), Layout::Root)
    else {
        return;
    };
    let shop = &apache.shop;
    let before = shop.tree();
    for liar in LIARS {
        let url = between(liar, shop.port, shop.htaccess());
        shop.set_option("home", &serde_json::json!(url));
        shop.set_option("siteurl", &serde_json::json!(url));
        let ended = shop.install(&["--yes"]);
        let expected = if liar == Liar::Friendly { 3 } else { 1 };
        assert_eq!(
            ended.code,
            Some(expected),
            "{liar:?} {ended:?}\n{}",
            apache.errors()
        );
        assert!(!ended.said.contains("Done."), "{liar:?} {ended:?}");
        assert_eq!(
            shop.tree().difference(&before),
            [""; 0],
            "{liar:?} {ended:?}"
        );
        // A failure names what was seen, in words.
        let seen = match liar {
            Liar::Friendly => ".htaccess is not read",
            Liar::Cache | Liar::Imitates => "an old copy of an answer",
            Liar::RedirectsPost => "redirected: http 301",
            Liar::EatsBody => "0 arrived",
            Liar::CutsBody => "1024 arrived",
            Liar::BlocksPost => "ModSecurity blocked the request (403)",
            Liar::TakesAll => "thrivecart",
            Liar::BreaksHome => "home page answers 500",
        };
        assert!(ended.said.contains(seen), "{liar:?} {ended:?}");
    }
}
