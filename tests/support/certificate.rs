//! Certificates of a site, good and bad, signed by an authority that is trusted nowhere else.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each binary that includes this file uses another part of it, and stops at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::database::Server;

/// Makes an authority and a certificate by it; `openssl ca` is the one that takes any dates.
const MAKE: &str = r#"
set -e
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ncertificate=authority.pem\nprivate_key=authority.key\ndefault_md=sha256\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=optional\n' > conf
: > index
echo 01 > serial
new='ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 -newkey $new -keyout authority.key -out authority.pem -subj /CN=authority -days 3650
openssl req -newkey $new -keyout key.pem -out request.pem -subj /CN=site -addext "subjectAltName=DNS:$1"
openssl ca -batch -config conf -in request.pem -out cert.pem -notext -startdate 20200101000000Z -enddate "$(date -u -d "$2" +%Y%m%d%H%M%SZ)"
chmod 644 *.pem
"#;

/// A folder with `authority.pem`, `cert.pem` and `key.pem`.
pub(crate) struct Certificate {
    folder: PathBuf,
}

impl Certificate {
    /// For this host name, up to this moment in the words of `date`.
    pub(crate) fn new(host: &str, end: &str) -> Certificate {
        let folder = Server::shared().new_folder();
        fs::create_dir_all(&folder).unwrap();
        let output = Command::new("sh")
            .args(["-c", MAKE, "sh", host, end])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Certificate { folder }
    }

    /// The authority, as BENTO_WEBHOOKS_CA_FILE wants it.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Lines for an Apache that also speaks TLS on this port.
    pub(crate) fn lines(&self, port: u16) -> String {
        let file = |name: &str| Path::display(&self.folder.join(name)).to_string();
        format!(
            "LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
Listen 127.0.0.1:{port} https
<VirtualHost 127.0.0.1:{port}>
ServerName localhost
SSLEngine on
SSLCertificateFile {}
SSLCertificateKeyFile {}
</VirtualHost>
",
            file("cert.pem"),
            file("key.pem")
        )
    }
}
