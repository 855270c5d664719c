//! The text of everything that setup writes for a web server. Pure.
//!
//! The condition is the same for every server: the parameter's name exactly (PHP's names are case-sensitive), `_` also as
//! `%5F`; its value in any case and with blanks behind it, because WP Fusion lower-cases and trims it.

use super::place::Rules;
use std::path::Path;

/// What a query must match to be ours.
const QUERY: &str =
    r"wpf(?:_|%5[Ff])action=(?i:add|update|update(?:_|%5f)tags|test)(?:%20|\+)*(?:&|$)";

/// The lines for WordPress's `.htaccess`. No `Options` and no handler: where a host forbids those, the whole site would fail.
pub fn block(target: &str) -> String {
    format!(
        "# BEGIN Bento Webhooks
# Sends WP Fusion webhook addresses to the bento-webhooks program; everything
# else goes on to WordPress. To undo: delete these lines.
<IfModule mod_rewrite.c>
RewriteEngine On
RewriteCond %{{QUERY_STRING}} (?:^|&){QUERY}
RewriteRule ^(?:index\\.php)?$ {target} [{flags}]
</IfModule>
# END Bento Webhooks
",
        flags = flags(target)
    )
}

/// The address that our lines lead to.
pub fn target(block: &str) -> Option<&str> {
    let rule = block.lines().find(|line| line.starts_with("RewriteRule"));
    rule?.split_whitespace().nth(2)
}

/// `[END]`, so that no rule below sees the new address. A `cgi-bin` has no rules of its own to pass the header on.
pub(super) fn flags(target: &str) -> &'static str {
    if target.starts_with("/cgi-bin/") {
        "E=HTTP_AUTHORIZATION:%{HTTP:Authorization},END"
    } else {
        "END"
    }
}

/// The `.htaccess` of the program's own folder; none where it needs or bears no rules. `path` is the folder's address.
pub(super) fn folder_rules(rules: Rules, path: &str, file: &str) -> Option<String> {
    match rules {
        Rules::None => None,
        Rules::Handler => Some(format!(
            "<Files \"{file}\">
  SetHandler cgi-script
</Files>
"
        )),
        Rules::Full => Some(format!(
            "Options +ExecCGI -Indexes
Require all denied
<Files \"{file}\">
  SetHandler cgi-script
  Require all granted
</Files>
# Let the program see an \"Authorization\" header (dropped by default, and by suEXEC).
SetEnvIf Authorization \"(.+)\" HTTP_AUTHORIZATION=$1
# A server that cannot run programs must not hand the file out as a download.
<IfModule !LiteSpeed>
  <IfModule !mod_cgi.c>
    <IfModule !mod_cgid.c>
      <Files \"{file}\">
        Require all denied
      </Files>
    </IfModule>
  </IfModule>
</IfModule>
# Only the rewrite in WordPress's .htaccess leads here; a direct call is refused.
<IfModule mod_rewrite.c>
  RewriteEngine On
  RewriteCond %{{THE_REQUEST}} \"^[A-Z]+ [^ ?]*{path}/\"
  RewriteRule ^ - [F]
</IfModule>
"
        )),
    }
}

/// The file that the web server starts.
pub(super) fn stub(wordpress: &Path, program: &Path) -> String {
    format!(
        "#!/bin/sh
# \"$@\" is left out on purpose: a web server puts parts of the address there.
BENTO_WEBHOOKS_WORDPRESS={}
export BENTO_WEBHOOKS_WORDPRESS
exec {}
",
        quoted(wordpress),
        quoted(program)
    )
}

/// The throw-away program: what it prints is computed, so its shown source never passes for a run.
pub(super) fn probe(nonce: &str, home: &Path, config: &Path) -> String {
    format!(
        "#!/bin/sh
printf 'Content-Type: text/plain\\r\\nCache-Control: no-store\\r\\n\\r\\n'
can() {{ if test \"$1\" \"$2\"; then echo yes; else echo no; fi; }}
echo \"ran-$((6*7))-{nonce} uid=$(id -u) user=$(id -un) home=$(can -x {}) config=$(can -r {})\"
",
        quoted(home),
        quoted(config)
    )
}

/// The rules of the throw-away folder: address `1` leads to the place with that number, `0` to a plain file.
pub(super) fn probe_rules(path: &str, places: &[(u8, String)]) -> String {
    let mut rules = format!("RewriteEngine On\nRewriteRule ^0$ {path}/answer.txt [END]\n");
    for (number, target) in places {
        rules += &format!("RewriteRule ^{number}$ {target} [{}]\n", flags(target));
    }
    rules
}

/// The crontab line that works on what waits, should no webhook come by for a while.
pub(super) fn crontab(wordpress: &Path, program: &Path) -> String {
    format!(
        "* * * * * {} work --path {}",
        quoted(program),
        quoted(wordpress)
    )
}

/// nginx: which addresses are ours, for the http level. `path` is that of the home address, with a slash at its end.
pub(super) fn nginx_map(path: &str) -> String {
    let path = path.replace('.', "\\.");
    format!(
        "# Which addresses are webhooks of WP Fusion; for the http level.
map \"$uri?$args\" $bento_webhook {{
  default 0;
  \"~^{path}(?!wp-admin(?:/|\\?))(?:[^.?]*|(?:[^.?]*/)?index\\.php)\\?(?:.*&)?{QUERY}\" 1;
}}
"
    )
}

/// nginx: where they go, for the site's own server block.
pub(super) fn nginx_location(wordpress: &Path, program: &Path, socket: &Path) -> String {
    let value = |path: &Path| format!("\"{}\"", path.display());
    format!(
        "# Sends webhooks of WP Fusion to bento-webhooks; everything else goes on to WordPress.
if ($bento_webhook) {{ rewrite ^ /.bento-webhooks last; }}
location = /.bento-webhooks {{
  internal;
  include fastcgi_params;
  fastcgi_param SCRIPT_FILENAME {};
  fastcgi_param SCRIPT_NAME /index.php;
  fastcgi_param BENTO_WEBHOOKS_WORDPRESS {};
  fastcgi_param HTTP_PROXY \"\";
  fastcgi_pass \"unix:{}\";
  fastcgi_read_timeout 60s;
  client_max_body_size 1m;
  fastcgi_cache off;
}}
",
        value(program),
        value(wordpress),
        socket.display()
    )
}

/// A path as one word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What setup writes is what an owner without root finds in `examples/`.
    #[test]
    fn the_examples_for_nginx_are_what_setup_writes() {
        let [wordpress, program, socket] = [
            "/home/USER/public_html",
            "/home/USER/.bento-webhooks/bin/bento-webhooks",
            "/run/bento-webhooks.sock",
        ]
        .map(Path::new);
        for (name, text) in [
            ("conf.d/bento-webhooks.conf", nginx_map("/")),
            (
                "snippets/bento-webhooks.conf",
                nginx_location(wordpress, program, socket),
            ),
        ] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/nginx");
            assert_eq!(
                std::fs::read_to_string(folder.join(name)).unwrap(),
                text,
                "{name}"
            );
        }
    }

    #[test]
    fn the_target_of_our_lines_is_found_in_them() {
        for path in ["/bento-webhooks/receive", "/cgi-bin/bento-webhooks.cgi"] {
            assert_eq!(target(&block(path)), Some(path));
        }
        assert_eq!(target("RewriteEngine On"), None);
    }

    #[test]
    fn paths_are_one_word_of_the_shell() {
        assert_eq!(quoted(Path::new("/a b/$HOME'`x`")), r"'/a b/$HOME'\''`x`'");
    }
}
