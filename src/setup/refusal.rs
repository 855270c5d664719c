//! The end of an owner's road, with the sentence for the host. Pure but for a look at which tools are here.

use super::Stop;
use super::look::Sight;
use std::path::Path;

/// What the host does not allow.
pub(super) enum Missing {
    Rules,
    Programs,
}

/// The end of an owner's road, with the sentence for the host.
pub(super) fn refusal(sight: &Sight, server: &str, missing: Missing) -> Stop {
    let url = url::Url::parse(&sight.address).ok();
    let host = url
        .as_ref()
        .and_then(url::Url::host_str)
        .unwrap_or("my site");
    let (what, wish) = match missing {
        Missing::Rules => (
            "This host does not follow rules in .htaccess for your site.",
            "AllowOverride All, mod_rewrite, mod_cgid, Options ExecCGI",
        ),
        Missing::Programs => (
            "This host does not run CGI programs for your site.",
            "mod_cgid, Options ExecCGI",
        ),
    };
    let mut text = format!(
        "{what} Nothing was changed.
Ask your host:  \"Please enable CGI ({wish}) for {host}.\"
In Plesk: Websites & Domains > Hosting Settings > CGI support. Then run me again."
    );
    if server.eq_ignore_ascii_case("nginx") {
        text += "\nOn your own nginx, as root: sh install.sh --owner --recipe nginx";
    } else if Path::new("/usr/sbin/a2enmod").exists() {
        text += "\nOn your own Debian or Ubuntu: a2enmod cgid && systemctl restart apache2";
    }
    text += "\nIf they say no: keep WP Fusion, or run webhooks on a small server of your own that reaches the database.";
    Stop::impossible(text)
}
