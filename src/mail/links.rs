//! The addresses that a message names, as WordPress builds them. Pure.
//!
//! A log-in address is https when FORCE_SSL_ADMIN, the site's own address or the request says so: a site that still is
//! at http gives https links when the webhook came over https.

/// What the addresses are made of.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    /// `siteurl`: where WordPress is, without a slash at its end.
    pub site_url: &'a str,
    /// `home`, without a slash at its end.
    pub home: &'a str,
    /// Domain and path of the network; `None` on a single site.
    pub network: Option<(&'a str, &'a str)>,
    /// Whether the request came over https, or FORCE_SSL_ADMIN is on.
    pub over: Over,
}

/// How much https is asked for beside the addresses themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Nothing asks for it.
    Http,
    /// Log-in pages are to be https: FORCE_SSL_ADMIN.
    HttpsLogin,
    /// The request came over https: so is everything.
    Https,
}

impl Places<'_> {
    /// `wp_login_url()` of the site.
    pub(super) fn login(&self) -> String {
        self.login_at(self.site_url)
    }

    /// The page behind a set-password link: that of the network.
    pub(super) fn set_password(&self) -> String {
        match self.network {
            Some((domain, path)) => {
                self.login_at(&format!("http://{domain}/{}", path.trim_start_matches('/')))
            }
            None => self.login(),
        }
    }

    /// `home_url()`.
    pub(super) fn home(&self) -> String {
        match self.over {
            Over::Https => with_scheme("https", self.home),
            Over::Http | Over::HttpsLogin => self.home.to_owned(),
        }
    }

    /// The host that mail comes from: that of the network's home address without `www.` and port, spelt as there.
    pub(super) fn mail_host(&self) -> String {
        let of = |address: &str| {
            let host = url::Url::parse(address).ok()?.host_str()?.to_owned();
            let (_, rest) = address.split_once("//")?;
            let at = rest.to_ascii_lowercase().find(&host);
            let spelt = at.and_then(|at| rest.get(at..at + host.len()));
            let host = spelt.unwrap_or(&host);
            Some(host.strip_prefix("www.").unwrap_or(host).to_owned())
        };
        let host = match self.network {
            Some((domain, _)) => of(&format!("http://{domain}/")),
            None => of(self.home),
        };
        let is_plain = |host: &String| {
            host.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        };
        host.filter(is_plain)
            .unwrap_or_else(|| "localhost".to_owned())
    }

    fn login_at(&self, folder: &str) -> String {
        let page = format!("{}/wp-login.php", folder.trim_end_matches('/'));
        let own = self.site_url.split_once(':').map(|(scheme, _)| scheme);
        let is_secure = own.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        match self.over != Over::Http || is_secure {
            true => with_scheme("https", &page),
            false => with_scheme("http", &page),
        }
    }
}

/// `set_url_scheme()`.
fn with_scheme(scheme: &str, address: &str) -> String {
    let is_scheme = |text: &str| {
        let name = text.strip_suffix(':').unwrap_or(text);
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match address.split_once("//") {
        Some((old, rest)) if is_scheme(old) => format!("{scheme}://{rest}"),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(site_url: &'static str, over: Over) -> Places<'static> {
        Places {
            site_url,
            home: "https://www.shop.example.org:8443/blog",
            network: None,
            over,
        }
    }

    #[test]
    fn links_are_https_when_anything_asks_for_it() {
        for (site_url, over, login) in [
            ("http://a.test", Over::Http, "http://a.test/wp-login.php"),
            (
                "http://a.test/wp/",
                Over::Http,
                "http://a.test/wp/wp-login.php",
            ),
            (
                "http://a.test",
                Over::HttpsLogin,
                "https://a.test/wp-login.php",
            ),
            (
                "http://a.test:81",
                Over::Https,
                "https://a.test:81/wp-login.php",
            ),
            ("https://a.test", Over::Http, "https://a.test/wp-login.php"),
            ("HTTPS://a.test", Over::Http, "https://a.test/wp-login.php"),
            ("//a.test//wp", Over::Http, "http://a.test//wp/wp-login.php"),
        ] {
            let places = single(site_url, over);
            assert_eq!(places.login(), login);
            assert_eq!(places.set_password(), login);
        }
    }

    #[test]
    fn a_network_sends_people_to_its_own_page() {
        let places = Places {
            network: Some(("net.test", "/all/")),
            ..single("http://net.test/second", Over::Http)
        };
        assert_eq!(places.login(), "http://net.test/second/wp-login.php");
        assert_eq!(places.set_password(), "http://net.test/all/wp-login.php");
        assert_eq!(places.mail_host(), "net.test");
        let root = Places {
            network: Some(("www.net.test:8080", "/")),
            ..single("https://net.test", Over::Http)
        };
        assert_eq!(
            root.set_password(),
            "https://www.net.test:8080/wp-login.php"
        );
        assert_eq!(root.mail_host(), "net.test");
    }

    #[test]
    fn the_home_address_keeps_its_scheme_unless_the_request_was_secure() {
        let http = Places {
            home: "http://a.test/x",
            ..single("http://a.test", Over::HttpsLogin)
        };
        assert_eq!(http.home(), "http://a.test/x");
        let https = Places {
            over: Over::Https,
            ..http
        };
        assert_eq!(https.home(), "https://a.test/x");
    }

    #[test]
    fn mail_comes_from_the_bare_host() {
        for (home, host) in [
            ("https://www.shop.example.org:8443/blog", "shop.example.org"),
            ("http://www.Shop.example.org/Shop", "Shop.example.org"),
            ("http://WWW.shop.example.org", "WWW.shop.example.org"),
            ("http://127.0.0.1:8080", "127.0.0.1"),
            ("http://müller.test", "xn--mller-kva.test"),
            ("no address", "localhost"),
            ("http://[::1]/", "localhost"),
            ("http://a.test/\r\nBcc: x@y.test", "a.test"),
        ] {
            let places = Places {
                home,
                ..single("http://a.test", Over::Http)
            };
            assert_eq!(places.mail_host(), host, "{home}");
        }
    }
}
