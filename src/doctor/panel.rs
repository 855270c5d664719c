//! The hosting panel of this machine, so that the next step is a place in a menu where there is one.

use std::path::Path;

/// Panels that are told by a folder of theirs.
const PANELS: [(&str, Panel); 6] = [
    ("/usr/local/cpanel", Panel::Cpanel),
    ("/usr/local/psa", Panel::Plesk),
    ("/opt/psa", Panel::Plesk),
    ("/usr/local/directadmin", Panel::DirectAdmin),
    ("/usr/local/hestia", Panel::Hestia),
    ("/usr/local/CyberCP", Panel::OpenLiteSpeed),
];

/// A hosting panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panel {
    /// cPanel.
    Cpanel,
    /// Plesk.
    Plesk,
    /// DirectAdmin.
    DirectAdmin,
    /// HestiaCP.
    Hestia,
    /// CyberPanel, which brings OpenLiteSpeed along.
    OpenLiteSpeed,
}

impl Panel {
    /// The panel here, if it is one of those.
    pub(super) fn here() -> Option<Panel> {
        Panel::among(&|folder| Path::new(folder).exists())
    }

    fn among(exists: &dyn Fn(&str) -> bool) -> Option<Panel> {
        PANELS
            .iter()
            .find(|(folder, _)| exists(folder))
            .map(|(_, panel)| *panel)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Panel::Cpanel => "cPanel",
            Panel::Plesk => "Plesk",
            Panel::DirectAdmin => "DirectAdmin",
            Panel::Hestia => "HestiaCP",
            Panel::OpenLiteSpeed => "CyberPanel",
        }
    }
}

/// How programs are allowed to run on this host.
pub(super) fn allow_programs(host: &str) -> String {
    match Panel::here() {
        Some(Panel::Plesk) => {
            "Plesk > Websites & Domains > Hosting Settings: switch CGI support on".to_owned()
        }
        Some(Panel::OpenLiteSpeed) => super::program::host(&format!(
            "Please add a CGI context for bento-webhooks to the virtual host of {host} in OpenLiteSpeed."
        )),
        _ => super::program::host(&format!(
            "Please enable CGI (mod_cgid, Options ExecCGI) for {host}."
        )),
    }
}

/// Where a certificate is renewed.
pub(super) fn renew_certificate() -> &'static str {
    match Panel::here() {
        Some(Panel::Cpanel) => "cPanel > SSL/TLS Status: Run AutoSSL",
        Some(Panel::Plesk) => "Plesk > SSL/TLS Certificates: reissue it",
        Some(Panel::DirectAdmin) => "DirectAdmin > SSL Certificates: get one from Let's Encrypt",
        _ => "renew the certificate in your host's panel, under SSL",
    }
}

/// Where the error log is.
pub(super) fn error_log() -> &'static str {
    match Panel::here() {
        Some(Panel::Cpanel) => "cPanel > Metrics > Errors: read the last lines",
        Some(Panel::Plesk) => "Plesk > Websites & Domains > Logs: read the last errors",
        _ => "read the last lines of the site's error log, in your host's panel under Errors",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_is_told_by_its_folder() {
        assert_eq!(Panel::among(&|_| false), None);
        assert_eq!(
            Panel::among(&|folder| folder == "/opt/psa").map(Panel::name),
            Some("Plesk")
        );
    }
}
