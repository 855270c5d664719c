//! How mail leaves: the sendmail command or an SMTP server, each checked. Pure.
//!
//! No shell ever sees the command: it is cut into words here, and one that counts on a shell is refused rather than
//! run as something else.

use std::net::IpAddr;

use url::{Host, Url};

use crate::secret::Secret;

/// The way out for mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailWay {
    /// A command that reads the mail from its standard input.
    Sendmail(SendmailCommand),
    /// A mail server.
    Smtp(SmtpServer),
}

/// A command and its arguments: never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendmailCommand {
    program: String,
    arguments: Vec<String>,
}

impl Default for SendmailCommand {
    /// What PHP's `mail()` runs where nothing else is set.
    fn default() -> Self {
        Self {
            program: "/usr/sbin/sendmail".to_owned(),
            arguments: vec!["-t".to_owned(), "-i".to_owned()],
        }
    }
}

impl SendmailCommand {
    /// Cuts a command line into words as a shell would; none if it is empty, has an open quote, a control character, or
    /// something that only a shell could do.
    pub fn parse(text: &str) -> Option<Self> {
        let needs_shell = |c: char| "|&;<>()$`*?\n".contains(c) || c.is_control();
        if text.contains(needs_shell) {
            return None;
        }
        let mut words = shlex::split(text)?.into_iter();
        let program = words.next().filter(|program| !program.is_empty())?;
        Some(Self {
            program,
            arguments: words.collect(),
        })
    }

    /// The program: a path, or a name to look for in PATH.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Its arguments.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

/// A mail server and how to talk to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    host: String,
    port: u16,
    security: Security,
    login: Option<Login>,
}

/// What stands between us and a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte: `smtps://`.
    Tls,
    /// STARTTLS or nothing: a login must not be overheard.
    StartTls,
    /// STARTTLS when the server offers it.
    Offered,
    /// None: the server is on this very machine.
    Here,
}

/// Name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub name: String,
    /// The password.
    pub password: Secret,
}

impl SmtpServer {
    /// Reads `smtp://user:password@host:port` or `smtps://…`; user and password percent-encoded, either both or none.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !bare {
            return None;
        }
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            ("", Some(_)) | (_, None) => return None,
            (name, Some(password)) => Some(Login {
                name: plain(name)?,
                password: Secret::new(plain(password)?),
            }),
        };
        let (host, here) = host(&url)?;
        let (security, usual_port) = match (url.scheme(), &login) {
            ("smtps", _) => (Security::Tls, 465),
            ("smtp", Some(_)) if here => (Security::Offered, 587),
            ("smtp", Some(_)) => (Security::StartTls, 587),
            ("smtp", None) if here => (Security::Here, 25),
            ("smtp", None) => (Security::Offered, 25),
            _ => return None,
        };
        Some(Self {
            host,
            port: url.port().unwrap_or(usual_port),
            security,
            login,
        })
    }

    /// Host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port: by default 465 for `smtps://`, 587 with a login, else 25.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How the connection is protected.
    pub fn security(&self) -> Security {
        self.security
    }

    /// The login, if there is one.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

/// The host, and whether it is this very machine.
fn host(url: &Url) -> Option<(String, bool)> {
    let name = match url.host()? {
        Host::Domain(name) => name.to_ascii_lowercase(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let here = match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost",
    };
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, here))
}

/// Percent-encoded text decoded; none when that is no line of text.
fn plain(encoded: &str) -> Option<String> {
    // These have a meaning in a form, and none here.
    let form = encoded
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    let (text, _) = url::form_urlencoded::parse(form.as_bytes()).next()?;
    let usable = !text.contains('\u{fffd}') && !text.chars().any(char::is_control);
    usable.then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_cut_into_words_and_never_needs_a_shell() {
        let words = |text: &str| {
            let command = SendmailCommand::parse(text)?;
            let mut words = vec![command.program];
            words.extend(command.arguments);
            Some(words.join("|"))
        };
        for (text, expected) in [
            ("/usr/sbin/sendmail -t -i", Some("/usr/sbin/sendmail|-t|-i")),
            ("  msmtp   -t ", Some("msmtp|-t")),
            (
                "'/opt/my mail/send' -f \"a b@c.test\" x\\ y",
                Some("/opt/my mail/send|-f|a b@c.test|x y"),
            ),
            ("/bin/cat > /tmp/x", None),
            ("/bin/a | /bin/b", None),
            ("/bin/a && /bin/b", None),
            ("/bin/a; /bin/b", None),
            ("/bin/$HOME", None),
            ("/bin/`id`", None),
            ("/bin/a 'open", None),
            ("/bin/a\n-t", None),
            ("''", None),
            ("", None),
        ] {
            assert_eq!(words(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_login_never_goes_over_an_open_line() {
        use Security::{Here, Offered, StartTls, Tls};
        for (text, host, port, security) in [
            ("smtp://u:p@mail.test", "mail.test", 587, StartTls),
            ("smtp://u:p@mail.test:2525/", "mail.test", 2525, StartTls),
            ("smtp://mail.test", "mail.test", 25, Offered),
            ("SMTP://Mail.TEST:26", "mail.test", 26, Offered),
            ("smtps://u:p@mail.test", "mail.test", 465, Tls),
            ("smtps://mail.test:4650", "mail.test", 4650, Tls),
            ("smtp://localhost", "localhost", 25, Here),
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, Here),
            ("smtp://[::1]", "::1", 25, Here),
            ("smtp://u:p@127.0.0.1", "127.0.0.1", 587, Offered),
            ("smtp://u:p@10.0.0.1", "10.0.0.1", 587, StartTls),
            ("smtp://u:p@[2001:db8::1]:9", "2001:db8::1", 9, StartTls),
        ] {
            let server = SmtpServer::parse(text).expect(text);
            assert_eq!(
                (server.host(), server.port(), server.security()),
                (host, port, security),
                "{text}"
            );
        }
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let server = SmtpServer::parse("smtp://a%40b.test:p%3A%2F+%25%C3%A9@mail.test").unwrap();
        let login = server.login().unwrap();
        assert_eq!(login.name, "a@b.test");
        assert_eq!(login.password.expose_str(), "p:/+%é");
        assert!(!format!("{server:?}").contains('é'), "{server:?}");
        let server = SmtpServer::parse("smtp://a&b%3Dc:x%26y=z@mail.test").unwrap();
        let login = server.login().unwrap();
        assert_eq!(
            (login.name.as_str(), login.password.expose_str()),
            ("a&b=c", "x&y=z")
        );
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            "mail.test",
            "http://mail.test",
            "smtp://",
            "smtp:mail.test",
            "smtp://u@mail.test",
            "smtp://:p@mail.test",
            "smtp://u:p@mail.test/x",
            "smtp://u:p@mail.test?tls=no",
            "smtp://u:p@mail.test#x",
            "smtp://mail.test:99999",
            "smtp://ma%0ail.test",
            "smtp://u%0d%0a:p@mail.test",
            "smtp://u%ff:p@mail.test",
        ] {
            assert_eq!(SmtpServer::parse(text), None, "{text}");
        }
    }
}
