//! wp-config.php in the forms sites have it.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::*;
use crate::dice::Dice;

/// A site made of nothing but text.
#[derive(Clone, Default)]
struct Stage {
    files: BTreeMap<PathBuf, Vec<u8>>,
    forbidden: Vec<PathBuf>,
    env: BTreeMap<String, String>,
    server: BTreeMap<String, String>,
    wordpress: PathBuf,
}

impl Stage {
    /// A WordPress in /srv/www with this wp-config.php.
    fn new(config: &str) -> Self {
        let stage = Self {
            wordpress: "/srv/www".into(),
            ..Self::default()
        };
        let version = "<?php\n$wp_version = '6.8.1';\n";
        stage
            .file("/srv/www/wp-includes/version.php", version)
            .file("/srv/www/wp-config.php", config)
    }

    /// A complete wp-config.php with some code at its start.
    fn with(code: &str) -> Self {
        Self::new(&format!("<?php\n{code}\n{COMPLETE}"))
    }

    fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), text.as_ref().to_vec());
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn server(mut self, name: &str, value: &str) -> Self {
        self.server.insert(name.to_owned(), value.to_owned());
        self
    }

    fn run<T>(&self, action: impl FnOnce(&Surroundings<'_>) -> T) -> T {
        let read = |path: &Path| {
            if self.forbidden.iter().any(|file| file == path) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            if self
                .files
                .keys()
                .any(|file| file != path && file.starts_with(path))
            {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let found = self.files.get(path).cloned();
            found.ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        action(&Surroundings {
            env: &|name| self.env.get(name).cloned(),
            server: &|name| self.server.get(name).cloned(),
            read: &read,
        })
    }

    fn read(&self) -> Result<Config, ConfigError> {
        self.run(|surroundings| read(&self.wordpress, surroundings))
    }

    fn config(&self) -> Config {
        self.read().unwrap_or_else(|error| panic!("{error}"))
    }

    fn error(&self) -> String {
        self.read()
            .expect_err("this should not be understood")
            .to_string()
    }

    /// What a constant is when wp-settings.php is reached, as text.
    fn constant(&self, name: &'static str) -> Option<String> {
        self.run(|surroundings| {
            let values = Values::read(&self.wordpress, surroundings);
            match values.constant(name) {
                Ok(found) => found.map(|found| utf8(&found.value).unwrap_or("array".into())),
                Err(error) => Some(format!("unknown: {error}")),
            }
        })
    }
}

const COMPLETE: &str = "
define( 'DB_NAME', 'n' );
define( 'DB_USER', 'u' );
define( 'DB_PASSWORD', 'p' );
define( 'DB_HOST', 'localhost' );
$table_prefix = 'wp_';
require_once ABSPATH . 'wp-settings.php';
";

/// The value of one expression.
fn value_of(expression: &str) -> Option<String> {
    Stage::new(&format!("<?php define( 'X', {expression} );"))
        .env("SET", "value")
        .env("EMPTY", "")
        .env("ONE", "1")
        .server("HTTP_HOST", "Shop.Example.org:8080")
        .constant("X")
}

fn expected_text(json: &Json, folder: &str) -> Option<String> {
    Some(match json {
        Json::Null | Json::Bool(false) => String::new(),
        Json::Bool(true) => "1".to_owned(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.replace("@DIR@", folder),
        _ => return None,
    })
}

#[test]
fn every_sample_gives_what_php_gives() {
    let vectors: Json =
        serde_json::from_str(include_str!("../../tests/vectors/wp_config.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 32);
    for case in cases {
        let mut stage = Stage::new("");
        let config = case["config"].as_str().unwrap();
        stage.files.remove(Path::new("/srv/www/wp-config.php"));
        let folder = Path::new("/srv/www").join(config);
        stage.wordpress = folder.parent().unwrap().to_owned();
        for (path, text) in case["files"].as_object().unwrap() {
            stage = stage.file(&format!("/srv/www/{path}"), text.as_str().unwrap());
        }
        for (name, value) in case["env"].as_object().unwrap() {
            stage = stage.env(name, &expected_text(value, "/srv/www").unwrap());
        }
        for (name, value) in case["server"].as_object().unwrap() {
            stage = stage.server(name, value.as_str().unwrap());
        }
        for (name, expected) in case["expect"].as_object().unwrap() {
            let name: &'static str = name.clone().leak();
            let found = stage.run(|surroundings| {
                let values = Values::read(&stage.wordpress, surroundings);
                let value = match name {
                    "table_prefix" | "super_admins" => values.variable(name),
                    name => values.constant(name),
                };
                let value = value.unwrap_or_else(|error| panic!("{case}: {error}"));
                value
                    .unwrap_or_else(|| panic!("{name} missing: {case}"))
                    .value
            });
            let folder = stage.wordpress.to_str().unwrap();
            match expected_text(expected, folder) {
                Some(text) => assert_eq!(utf8(&found).unwrap(), text, "{name}: {case}"),
                None => {
                    let logins = expected.as_array().unwrap().iter();
                    let logins: Vec<_> = logins
                        .map(|login| Val::text(login.as_str().unwrap()))
                        .collect();
                    assert!(found.agrees(&Val::list(logins)), "{name}: {case}");
                }
            }
        }
    }
}

#[test]
fn expressions_are_what_they_are_in_php() {
    let table = [
        // Ternaries and defaults.
        ("getenv('SET') ? 'a' : 'b'", "a"),
        ("getenv('UNSET') ?: 'default'", "default"),
        ("getenv('EMPTY') ?: 'default'", "default"),
        ("$_ENV['SET'] ?? 'default'", "value"),
        ("$_ENV['UNSET'] ?? $_SERVER['UNSET'] ?? 'c'", "c"),
        ("isset($_ENV['SET'], $_ENV['UNSET']) ? 'a' : 'b'", "b"),
        ("isset($_SERVER['HTTP_HOST']) ? 'a' : 'b'", "a"),
        ("empty(getenv('EMPTY')) ? 'a' : 'b'", "a"),
        ("array_key_exists('SET', $_ENV) ? 'a' : 'b'", "a"),
        ("(true ? 'a' : 'b') . 'c'", "ac"),
        // Strings.
        (r"'it\'s \\ \n'", r"it's \ \n"),
        (
            r#""t\t\x41\101\u{e9}\$x\q{$_ENV['SET']}""#,
            "t\tAAé$x\\qvalue",
        ),
        (
            r#""$_ENV[SET]-{$_SERVER['HTTP_HOST']}""#,
            "value-Shop.Example.org:8080",
        ),
        ("<<<X\n  a\n   b\n  X", "a\n b"),
        ("<<<\"X\"\nv $_ENV[SET]\nX", "v value"),
        ("<<<'X'\n$_ENV[SET] \\n\nX", "$_ENV[SET] \\n"),
        ("'a' . 1 . 2.5 . true . null . false", "a12.51"),
        // Comparisons and logic.
        ("'abc' == 0", ""),
        ("'1' == '01'", "1"),
        ("'10' === '1e1'", ""),
        ("null == false", "1"),
        ("1 <=> 2", "-1"),
        ("!true || !false && true", "1"),
        ("(true xor true) . 'x'", "x"),
        ("1 + 2 * 3 - 4 / 2", "5"),
        ("7 % 3 . '-' . 2 ** 3", "1-8"),
        ("(int) '12abc'", "12"),
        ("(string) 1.0", "1"),
        ("(bool) '0'", ""),
        ("- 5 + 0x1F", "26"),
        ("0755", "493"),
        ("1_000", "1000"),
        ("MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_COMPRESS", "2080"),
        // Functions.
        (
            "strtolower( 'ABC' ) . strtoupper('x') . ucfirst('y')",
            "abcXY",
        ),
        (
            "trim('  a b ') . '|' . rtrim('a/', '/') . '|' . ltrim('//a', '/')",
            "a b|a|a",
        ),
        ("rtrim(\"a\\r\\n\", \"\\r\\n\") . trim('xax', 'w..y')", "aa"),
        (
            "str_replace('a', 'b', 'cac') . str_replace(['a','b'], ['b','c'], 'ab')",
            "cbccc",
        ),
        (
            "explode(':', 'h:1:2', 2)[1] . explode(',', 'a,b')[0]",
            "1:2a",
        ),
        ("implode('-', ['a', 2, 'c'])", "a-2-c"),
        ("sprintf('%s:%d %% %2$s', 'h', 3306)", "h:3306 % 3306"),
        ("strpos('abc', 'd') === false ? 'no' : 'yes'", "no"),
        (
            "strpos('abc', 'b') . stripos('abc', 'C') . strrpos('abab', 'b')",
            "123",
        ),
        (
            "substr('abcdef', -3, 2) . substr('abc', 1) . substr('abc', 5) . substr('abc', 0, -1)",
            "debcab",
        ),
        (
            "str_starts_with('abc', 'ab') && str_ends_with('abc', 'c') && str_contains('abc', 'b')",
            "1",
        ),
        ("in_array('b', array('a', 'b'), true) ? 'in' : 'out'", "in"),
        ("in_array('1', [1, 2], true) ? 'in' : 'out'", "out"),
        ("count(['a', 'b']) . is_array([]) . is_string('')", "211"),
        (
            "parse_url('mysql://u:p@h:1/n?x=1', PHP_URL_HOST) . parse_url('a://h/p')['path']",
            "h/p",
        ),
        ("urldecode('a%40b+c') . rawurldecode('%41+')", "a@b cA+"),
        ("base64_decode('cGFzcw==')", "pass"),
        (
            "filter_var('yes', FILTER_VALIDATE_BOOLEAN) ? 'on' : 'off'",
            "on",
        ),
        (
            "filter_var('maybe', FILTER_VALIDATE_BOOLEAN, FILTER_NULL_ON_FAILURE) === null",
            "1",
        ),
        (
            "json_decode('{\"a\":[{\"b\":\"c\"}]}', true)['a'][0]['b']",
            "c",
        ),
        (
            "preg_replace('/:.*/', '', $_SERVER['HTTP_HOST'])",
            "Shop.Example.org",
        ),
        (
            "preg_replace('#^(\\w+)\\.(\\w+)#', '$2-${1}-\\0', 'a.b')",
            "b-a-a.b",
        ),
        ("preg_match('/^[a-z]+$/', 'abc')", "1"),
        ("dirname('/a/b/c', 2) . basename('/a/b.php')", "/ab.php"),
        (
            "__DIR__ . '|' . dirname(__FILE__) . '|' . basename(__FILE__)",
            "/srv/www|/srv/www|wp-config.php",
        ),
        ("__LINE__", "1"),
        ("ABSPATH", "/srv/www/"),
        (
            "constant('ABSPATH') . (defined('ABSPATH') ? 1 : 0) . (defined('NOPE') ? 1 : 0)",
            "/srv/www/10",
        ),
        (
            "file_exists(__DIR__ . '/wp-includes') . is_dir(ABSPATH . 'wp-includes')",
            "11",
        ),
        (
            "is_file(__DIR__ . '/wp-includes') . is_readable(__DIR__ . '/none')",
            "",
        ),
        (
            "realpath(__DIR__ . '/../www/wp-config.php')",
            "/srv/www/wp-config.php",
        ),
        // Arrays.
        ("['a' => ['b' => 'c']]['a']['b']", "c"),
        ("array('x', 5 => 'y', 'z')[6]", "z"),
        ("(['a' => 1] + ['a' => 2, 'b' => 3])['b']", "3"),
        ("array_merge(['a' => 1], ['a' => 2])['a']", "2"),
        ("'abc'[0] . 'abc'[-1]", "ac"),
        (
            "match(true) { 1 > 2 => 'a', 2 > 1, false => 'b', default => 'c' }",
            "b",
        ),
        ("match('q') { 'a' => 1, default => 'd' }", "d"),
    ];
    for (expression, expected) in table {
        assert_eq!(
            value_of(expression).as_deref(),
            Some(expected),
            "{expression}"
        );
    }
}

#[test]
fn statements_are_followed() {
    let table = [
        (
            "if (false): define('X','a'); elseif (true): define('X','b'); else: define('X','c'); endif;",
            "b",
        ),
        (
            "if (0) define('X','a'); else if (1) define('X','b'); else define('X','c');",
            "b",
        ),
        (
            "foreach (['a'=>1,'b'=>2] as $k=>$v): define(strtoupper(\"x$v\"),$k); endforeach; define('X', X2);",
            "b",
        ),
        (
            "foreach (['a','b','c'] as $v) { if ($v == 'b') { continue; } $s[] = $v; } define('X', implode($s));",
            "ac",
        ),
        (
            "foreach ([1,2] as $a) { foreach ([1,2] as $b) { if ($b == 2) { continue 2; } $s .= $a.$b; } } define('X', $s);",
            "1121",
        ),
        (
            "for ($i = 0, $s = ''; $i < 3; $i++) { $s .= $i; } define('X', $s);",
            "012",
        ),
        (
            "$i = 5; while (true) { if (--$i < 3) break; } do { $i += 10; } while (false); define('X', $i);",
            "12",
        ),
        (
            "switch ('b') { case 'a': define('X','a'); break; case 'b': case 'c': define('X','c'); break; default: define('X','d'); }",
            "c",
        ),
        (
            "switch (9): default: $x = 'd'; case 1: $x .= 'e'; endswitch; define('X', $x);",
            "de",
        ),
        (
            "function f($a, $b = 'd') { return $a . $b; } define('X', f('c'));",
            "cd",
        ),
        (
            "define('X', f('c')); function f(?string $a): string { global $g; return $a . $g . $GLOBALS['h']; }",
            "c",
        ),
        (
            "$g = 'g'; $h = 'h'; function f() { global $g; $g .= '2'; return $g . $GLOBALS['h']; } define('X', f() . $g);",
            "g2hg2",
        ),
        (
            "function f($n) { if ($n < 1) { return ''; } return $n . f($n - 1); } define('X', f(3));",
            "321",
        ),
        (
            "[$a, , $b] = ['x', 'y', 'z']; ['k' => $e] = ['k' => 'v']; list($c, list($d)) = ['m', ['n']]; define('X', $a.$b.$c.$d.$e);",
            "xzmnv",
        ),
        (
            "$a = ['p' => ['q' => 1]]; $a['p']['r'] = 2; $a['p'][] = 3; unset($a['p']['q'], $a['no']); define('X', implode(',', $a['p']) . ',' . $a['p']['q']);",
            "2,3,",
        ),
        ("$x ??= 'a'; $x ??= 'b'; $x .= 'c'; define('X', $x);", "ac"),
        (
            "putenv('MINE=set'); define('X', getenv('MINE') . ($_ENV['MINE'] ?? '-'));",
            "set-",
        ),
        (
            "$_SERVER['HTTPS'] = 'on'; $_ENV['Q'] = 'q'; define('X', $_SERVER['HTTPS'] . $_ENV['Q']);",
            "onq",
        ),
        ("extract(['t' => 'u']); define('X', $t);", "u"),
        (
            "function g(&$x, $y) { $x .= $y; $y = 'no'; } $a = 'a'; $b = 'b'; g($a, $b); define('X', $a . $b);",
            "abb",
        ),
        (
            "try { throw new Exception('x'); } catch (Exception $e) { define('X','c'); } finally { $f = 1; }",
            "c",
        ),
        ("const A = 'a', X = A . 'b';", "ab"),
        (
            "declare(strict_types=1); namespace Site; use Some\\{One, Two}; \\define('X', \\strtoupper('a'));",
            "A",
        ),
        ("namespace { const X = 'n'; }", "n"),
        (
            "class C { const X = 'no'; function f() { define('X', 'no'); } } define('X', 'yes');",
            "yes",
        ),
        (
            "preg_match('/^(\\w+):(?<port>\\d+)$/', 'db:33', $m); define('X', $m[1] . $m['port']);",
            "db33",
        ),
        ("@define('X', 'quiet');", "quiet"),
        (
            "echo 'a', 'b'; print 'c'; ?> html <?= 'x' ?> <?PHP define('X', 'tags');",
            "tags",
        ),
        (
            "defined('X') or define('X', 'a'); defined('X') || define('X', 'b');",
            "a",
        ),
        (
            "if (!function_exists('f')) { function f() { return 'f'; } } define('X', function_exists('f') ? f() : '');",
            "f",
        ),
        (
            "$x = 1; // note ?> html <?php define('X', 'after');",
            "after",
        ),
        ("eval('define(\"X\", \"e\");');", "e"),
        ("$s = 'X'; define($s, 'dynamic');", "dynamic"),
        (
            "if (($v = getenv('SET')) !== false && !empty($v)) { define('X', $v); }",
            "value",
        ),
        (
            "define('X', 'first'); goto end; end: define('X', 'second');",
            "first",
        ),
        ("__halt_compiler(); define('X', 'never');", ""),
    ];
    for (code, expected) in table {
        let stage = Stage::new(&format!("<?php {code}")).env("SET", "value");
        let found = stage.constant("X");
        assert_eq!(found.unwrap_or_default(), expected, "{code}");
    }
}

#[test]
fn branches_that_agree_are_known_and_others_are_not() {
    let known = [
        "if (unread()) { define('DB_NAME', 'n'); } else { define('DB_NAME', 'n'); }",
        "define('DB_NAME', unread() ? 'n' : 'n');",
        "if (unread()) { exit; } define('DB_NAME', 'n');",
        "if (unread()) { define('DB_NAME', 'other'); die('down'); }",
        "unread() or exit(1);",
        "if (unread()) { define('WP_DEBUG', true); $x = 1; }",
        "define('WP_CACHE', unread()); new Thing('a'); Some\\Thing::start(['k' => fn($a) => $a]);",
        "$f = function () use ($x) { define('DB_NAME', 'no'); };",
        "if (unread()) { $table_prefix = 'no_'; }",
    ];
    for code in known {
        let stage = Stage::with(code);
        let config = stage.config();
        assert_eq!(config.database().name(), "n", "{code}");
        assert_eq!(config.tables().prefix().as_str(), "wp_", "{code}");
    }
    let unknown = [
        "if (unread()) { define('DB_NAME', 'a'); } else { define('DB_NAME', 'b'); }",
        "if (unread()) { define('DB_NAME', 'a'); }",
        "unread() && define('DB_NAME', 'a');",
        "unread() or define('DB_NAME', 'a');",
        "if (unread()) : define('DB_NAME', 'a'); endif;",
        "switch (unread()) { case 1: define('DB_NAME', 'a'); break; default: define('DB_NAME', 'b'); }",
        "foreach (unread() as $v) { define('DB_NAME', $v); }",
        "while (unread()) { define('DB_NAME', 'a'); break; }",
        "define('DB_NAME', unread());",
        "define('DB_NAME', 'a' . unread());",
        "define('DB_NAME', unread() ? 'a' : 'b');",
        "define('DB_NAME', unread() ?: 'b');",
        "define('DB_NAME', unread() ?? 'b');",
        "define('DB_NAME', \"a{$o->p}\");",
        "define('DB_NAME', Vault::get('x'));",
        "define('DB_NAME', $_GET['x']);",
        "define('DB_NAME', SOME_CONSTANT);",
        "define('DB_NAME', ['x' => unread()]);",
        "function f() { if (unread()) { return 'a'; } return 'b'; } define('DB_NAME', f());",
        "$x = 'a'; if (unread()) { $x = 'b'; } define('DB_NAME', $x);",
        "$x['k'] = 'a'; $x[unread()] = 'b'; define('DB_NAME', $x['k']);",
        "define(unread(), 'a'); defined('DB_NAME') || define('DB_NAME', 'a');",
        "include unread(); defined('DB_NAME') || define('DB_NAME', 'a');",
        "Dotenv::load(); define('DB_NAME', getenv('UNSET') ?: 'a');",
        "static $x = 1; define('DB_NAME', $x);",
        "$x = &$y; define('DB_NAME', $x);",
        "$_SERVER[unread()] = 'a'; define('DB_NAME', $_SERVER['UNSET'] ?? 'b');",
        "unset($x[unread()]); $x = $x ?? []; $x['a'] = 1; unset($x[unread()]); define('DB_NAME', $x['a']);",
        "define('DB_NAME', function_that_is_lost($x) . 'a');",
        "if (unread()) { putenv('A=b'); } define('DB_NAME', getenv('A') ?: 'c');",
        "function f($x) { if (unread()) { return $x; } $GLOBALS['y'] = 'a'; } $y = 'b'; f(1); define('DB_NAME', $y);",
        "foreach (['a', 'b'] as $v) { if (unread()) { continue; } $x = $v; } define('DB_NAME', $x);",
        "foreach (['a', 'b'] as $v) { foreach ([1] as $w) { if (unread()) { break 2; } } $x = $v; } define('DB_NAME', $x);",
        "while (!isset($x)) { if (unread()) { break; } $x = 'a'; } define('DB_NAME', $x);",
        "function g(&$x) { $x = unread(); } g($y); define('DB_NAME', $y);",
        "foreach ($a as &$v) { $x = $v; } define('DB_NAME', $x);",
        "sscanf('a b', '%s', $x); define('DB_NAME', $x);",
    ];
    for code in unknown {
        let error = Stage::with(code).error();
        assert!(error.starts_with("DB_NAME depends on "), "{code}: {error}");
        assert!(
            error.contains(" in wp-config.php line 2,"),
            "{code}: {error}"
        );
        assert!(
            error.contains("set BENTO_WEBHOOKS_DB_NAME in"),
            "{code}: {error}"
        );
    }
}

#[test]
fn a_way_that_ends_early_is_not_forgotten() {
    let stage = Stage::with("include 'part.php'; define('DB_NAME', $part);").file(
        "/srv/www/part.php",
        "<?php $part = 'a';\nif (unread()) { return; }\n$part = 'b';",
    );
    let error = stage.error();
    assert!(
        error.starts_with("DB_NAME depends on unread() in part.php line 2,"),
        "{error}"
    );
    let both = "if (unread()) { require ABSPATH . 'wp-settings.php'; }";
    let early = Stage::new(&format!(
        "<?php define('X', 'a'); {both} define('Y', 'b'); exit;"
    ));
    assert_eq!(early.constant("X").unwrap(), "a");
    assert_eq!(
        early.constant("Y"),
        None,
        "a site whose settings are never reached is down"
    );
    let late = Stage::new(&format!("<?php define('X', 'a'); {both} define('Y', 'b');"));
    assert!(
        late.constant("Y")
            .unwrap()
            .starts_with("unknown: Y depends on unread()")
    );
    assert_eq!(late.constant("X").unwrap(), "a");
    let agreed = "function f() { if (unread()) { return 'n'; } $x = 1; return 'n'; } define('DB_NAME', f());";
    assert_eq!(Stage::with(agreed).config().database().name(), "n");
}

#[test]
fn an_unknown_value_nobody_needs_is_no_error() {
    let config = Stage::with(
        "define('WP_HOME', unread()); define('WPLANG', Some::thing()); define('AUTH_KEY', unread());
         define('DB_HOST_SLAVE', unread()); this is no PHP at all; define('WP_CONTENT_DIR', unread());",
    )
    .config();
    assert_eq!(config.site().home(), None);
    assert_eq!(
        config.site().content_dir(),
        Path::new("/srv/www/wp-content")
    );
}

#[test]
fn every_setting_that_decides_what_is_written_is_needed() {
    for name in [
        "DB_USER",
        "DB_PASSWORD",
        "DB_HOST",
        "DB_CHARSET",
        "DB_COLLATE",
        "MYSQL_CLIENT_FLAGS",
        "MULTISITE",
        "CUSTOM_USER_TABLE",
        "CUSTOM_USER_META_TABLE",
        "BENTO_WEBHOOKS_API_URL",
        "BENTO_WEBHOOKS_ALLOW_ROLES",
        "BENTO_WEBHOOKS_SENDMAIL",
        "BENTO_WEBHOOKS_SMTP",
        "BENTO_WEBHOOKS_WELCOME_EVENT",
        "BENTO_WEBHOOKS_CA_FILE",
    ] {
        let error = Stage::with(&format!("\n\ndefine('{name}', unread());")).error();
        let expected = format!("{name} depends on unread() in wp-config.php line 4,");
        assert!(error.starts_with(&expected), "{error}");
    }
    let prefix = COMPLETE.replace("'wp_'", "\n unread()");
    let error = Stage::new(&format!("<?php{prefix}")).error();
    assert!(
        error.starts_with("$table_prefix depends on unread() in wp-config.php line 7,"),
        "{error}"
    );
    let admins = "define('MULTISITE', true); $super_admins = unread();";
    assert!(
        Stage::with(admins)
            .error()
            .starts_with("$super_admins depends on unread()")
    );
}

#[test]
fn what_is_missing_is_named_with_what_may_be_why() {
    let missing = |code: &str| Stage::new(&format!("<?php\n{code}\n")).error();
    assert_eq!(
        missing(""),
        "wp-config.php does not give DB_PASSWORD; set BENTO_WEBHOOKS_DB_PASSWORD in the environment \
         of this program"
    );
    let error = missing("\nexit('closed');");
    assert!(
        error.contains("(perhaps because of exit in wp-config.php line 3,"),
        "{error}"
    );
    let error = missing("require 'gone.php';");
    assert!(
        error.contains("the missing file gone.php in wp-config.php line 2"),
        "{error}"
    );
    let error = missing("include unread();");
    assert!(
        error.contains("unread() in wp-config.php line 2"),
        "{error}"
    );
    let error = missing("while (true) { $x = 1; }");
    assert!(
        error.contains("a very long computation in wp-config.php line 2"),
        "{error}"
    );
    let mut stage = Stage::new("<?php include __DIR__ . '/db.php';").file("/srv/www/db.php", "");
    stage.forbidden.push("/srv/www/db.php".into());
    assert!(
        stage
            .error()
            .contains("the unreadable file db.php in wp-config.php line 1")
    );
    stage.forbidden.push("/srv/www/wp-config.php".into());
    assert!(
        stage
            .error()
            .starts_with("cannot read /srv/www/wp-config.php (permission denied);")
    );
}

#[test]
fn bedrock_is_not_followed_but_named() {
    let stage = Stage::new(
        "<?php require_once dirname(__DIR__) . '/vendor/autoload.php';
         require_once dirname(__DIR__) . '/config/application.php';
         require_once ABSPATH . 'wp-settings.php';",
    )
    .file(
        "/srv/vendor/autoload.php",
        "<?php return ComposerAutoloaderInit::getLoader();",
    )
    .file(
        "/srv/config/application.php",
        "<?php\nuse Roots\\WPConfig\\Config;\nuse function Env\\env;\n
         Dotenv\\Dotenv::createImmutable('x')->load();
         Config::define('DB_NAME', env('DB_NAME'));
         Config::define('DB_USER', env('DB_USER'));
         Config::define('DB_PASSWORD', env('DB_PASSWORD'));
         Config::define('DB_HOST', env('DB_HOST') ?: 'localhost');
         $table_prefix = env('DB_PREFIX') ?: 'wp_';
         Config::apply();",
    );
    let error = stage.error();
    assert!(error.starts_with("DB_PASSWORD depends on "), "{error}");
    assert!(
        error.contains("/srv/config/application.php line 8"),
        "{error}"
    );
    let config = stage
        .env("BENTO_WEBHOOKS_DB_NAME", "bed")
        .env("BENTO_WEBHOOKS_DB_USER", "rock")
        .env("BENTO_WEBHOOKS_DB_PASSWORD", "")
        .env("BENTO_WEBHOOKS_DB_HOST", "db:3307")
        .env("BENTO_WEBHOOKS_TABLE_PREFIX", "br_")
        .config();
    assert_eq!(config.database().name(), "bed");
    assert_eq!(config.tables().users().as_str(), "br_users");
}

/// The way out in words.
fn mail_way(config: &Config) -> String {
    match config.own().mail_way() {
        MailWay::Sendmail(command) => {
            format!("{} {}", command.program(), command.arguments().join(" "))
                .trim_end()
                .to_owned()
        }
        MailWay::Smtp(server) => format!("{}:{}", server.host(), server.port()),
    }
}

#[test]
fn a_mail_server_goes_before_the_command() {
    let stage = Stage::with(
        "define('BENTO_WEBHOOKS_SENDMAIL', '/opt/mail -t');
         define('BENTO_WEBHOOKS_SMTP', 'smtps://u:p@mail.test');
         define('BENTO_WEBHOOKS_WELCOME_EVENT', ' $wordpress.account_created ');",
    );
    let config = stage.config();
    assert_eq!(mail_way(&config), "mail.test:465");
    assert_eq!(
        config.own().welcome_event(),
        Some("$wordpress.account_created")
    );
}

#[test]
fn the_environment_wins() {
    let stage = Stage::with(
        "define('BENTO_WEBHOOKS_API_URL', 'https://example.org/a/');
         define('BENTO_WEBHOOKS_ALLOW_ROLES', ' editor, ,author');
         define('BENTO_WEBHOOKS_SENDMAIL', '/opt/mail -t');
         define('BENTO_WEBHOOKS_CA_FILE', '/etc/ca.pem');
         define('BENTO_WEBHOOKS_ALOW_ROLES', 'typo');",
    );
    let config = stage.config();
    assert_eq!(config.own().api_url().as_str(), "https://example.org/a");
    assert_eq!(config.own().allow_roles(), ["editor", "author"]);
    assert_eq!(mail_way(&config), "/opt/mail -t");
    assert_eq!(config.own().ca_file(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(config.own().unrecognized(), ["BENTO_WEBHOOKS_ALOW_ROLES"]);
    assert_eq!(config.database().password().expose(), b"p");
    let config = stage
        .env("BENTO_WEBHOOKS_API_URL", "http://127.0.0.1:9/b")
        .env("BENTO_WEBHOOKS_ALLOW_ROLES", "")
        .env("BENTO_WEBHOOKS_SENDMAIL", "/bin/true")
        .env("BENTO_WEBHOOKS_CA_FILE", "/other.pem")
        .env("BENTO_WEBHOOKS_DB_PASSWORD", "")
        .env("BENTO_WEBHOOKS_DB_NAME", "")
        .env("BENTO_WEBHOOKS_DB_USER", "me")
        .config();
    assert_eq!(config.own().api_url().as_str(), "http://127.0.0.1:9/b");
    assert_eq!(
        config.own().allow_roles(),
        ["editor", "author"],
        "empty is not set"
    );
    assert_eq!(mail_way(&config), "/bin/true");
    assert_eq!(config.own().ca_file(), Some(Path::new("/other.pem")));
    assert_eq!(
        config.database().password().expose(),
        b"",
        "but an empty password is"
    );
    assert_eq!(config.database().name(), "n");
    assert_eq!(config.database().user(), "me");
}

#[test]
fn defaults_are_those_of_wordpress_and_bento() {
    let config = Stage::with("").config();
    assert_eq!(
        config.own().api_url().as_str(),
        "https://app.bentonow.com/api/v1"
    );
    assert_eq!(mail_way(&config), "/usr/sbin/sendmail -t -i");
    assert_eq!(config.own().welcome_event(), None);
    assert!(config.own().allow_roles().is_empty() && config.own().ca_file().is_none());
    assert_eq!(config.release(), Release::new(6, 8, 1));
    assert_eq!(config.local_package(), None);
    assert_eq!(config.database().host(), &DbHost::DefaultSocket);
    assert_eq!(config.database().charset(), None);
    assert!(!config.database().compress() && !config.database().tls());
    assert_eq!(config.tables().usermeta().as_str(), "wp_usermeta");
    assert!(config.network().is_none() && config.site().lang_dir().is_none());
}

#[test]
fn unsafe_values_are_refused_without_being_shown() {
    let table = [
        ("$table_prefix", "wp_`; DROP TABLE wp_users; -- hush"),
        ("DB_CHARSET", "utf8\"hush"),
        ("DB_COLLATE", "x y hush"),
        ("CUSTOM_USER_TABLE", "other.hush"),
        ("CUSTOM_USER_META_TABLE", ""),
        ("DB_HOST", "h:u:s:hush"),
        ("BENTO_WEBHOOKS_API_URL", "http://hush.example/"),
        ("BENTO_WEBHOOKS_CA_FILE", "hush.pem"),
        ("BENTO_WEBHOOKS_SENDMAIL", "a\nhush"),
        ("BENTO_WEBHOOKS_SENDMAIL", "/bin/a | hush"),
        ("BENTO_WEBHOOKS_SMTP", "smtp://u:hush@h/x"),
        ("BENTO_WEBHOOKS_WELCOME_EVENT", "a\nhush"),
        ("DB_NAME", ""),
        ("DB_USER", ""),
    ];
    for (name, value) in table {
        let code = match name {
            "$table_prefix" => COMPLETE.replace("'wp_'", &format!("'{value}'")),
            _ => format!("define('{name}', '{value}');{COMPLETE}"),
        };
        let error = Stage::new(&format!("<?php {code}")).error();
        assert!(
            error.starts_with(&format!("{name} in wp-config.php line ")),
            "{error}"
        );
        assert!(!error.contains("hush"), "{error}");
    }
    let error = Stage::with("")
        .env("BENTO_WEBHOOKS_TABLE_PREFIX", "a-hush")
        .error();
    assert!(
        error.starts_with("BENTO_WEBHOOKS_TABLE_PREFIX in the environment may hold"),
        "{error}"
    );
    for broken in [
        "'it's hush'",
        "'a'hush",
        "'a' $hush",
        "'a' hush(1)",
        "\"{hush",
        "a'hush",
    ] {
        let error = Stage::new(&format!("<?php {}", COMPLETE.replace("'p'", broken))).error();
        assert!(!error.contains("hush"), "{error}");
    }
    let config = Stage::new(&format!("<?php {}", COMPLETE.replace("'p'", "'hush'"))).config();
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn networks_follow_is_multisite() {
    let network = |code: &str| Stage::with(code).config().network().cloned();
    assert!(network("define('MULTISITE', false); define('SUNRISE', 'on');").is_none());
    assert!(network("define('WP_ALLOW_MULTISITE', true);").is_none());
    assert!(network("define('SUNRISE', 'on');").unwrap().sunrise());
    assert!(network("define('VHOST', 'yes');").unwrap().subdomains());
    assert!(
        !network("define('SUBDOMAIN_INSTALL', false);")
            .unwrap()
            .subdomains()
    );
    let full = network(
        "define('MULTISITE', true); define('SUBDOMAIN_INSTALL', true);
         define('DOMAIN_CURRENT_SITE', 'e.org'); define('PATH_CURRENT_SITE', '/x/');
         define('SITE_ID_CURRENT_SITE', 2); define('BLOG_ID_CURRENT_SITE', '3');
         $super_admins = array('Boss', 'b');",
    )
    .unwrap();
    assert_eq!((full.domain(), full.path()), (Some("e.org"), Some("/x/")));
    assert_eq!(
        (full.id(), full.main_site(), full.subdomains()),
        (2, 3, true)
    );
    assert_eq!(full.super_admins().unwrap(), ["Boss", "b"]);
    assert_eq!(
        network("define('MULTISITE', 1);").unwrap().super_admins(),
        None
    );
}

#[test]
fn the_file_above_counts_unless_another_wordpress_is_there() {
    let mut stage = Stage::new("").file("/srv/wp-config.php", format!("<?php{COMPLETE}"));
    stage.files.remove(Path::new("/srv/www/wp-config.php"));
    assert_eq!(stage.config().database().name(), "n");
    assert_eq!(stage.constant("ABSPATH").unwrap(), "/srv/www/");
    let stage = stage.file("/srv/wp-settings.php", "<?php");
    assert!(
        stage
            .error()
            .starts_with("no wp-config.php in /srv/www or above it;")
    );
    let stage = stage
        .env("BENTO_WEBHOOKS_DB_NAME", "e")
        .env("BENTO_WEBHOOKS_DB_USER", "e")
        .env("BENTO_WEBHOOKS_DB_PASSWORD", "e")
        .env("BENTO_WEBHOOKS_DB_HOST", "e")
        .env("BENTO_WEBHOOKS_TABLE_PREFIX", "e_");
    assert_eq!(stage.config().database().name(), "e");
}

#[test]
fn the_release_comes_from_version_php() {
    let stage = Stage::with("").file(
        "/srv/www/wp-includes/version.php",
        "<?php\n$wp_version = '6.1.9';\n$wp_local_package = 'de_DE';\n",
    );
    assert_eq!(stage.config().release(), Release::new(6, 1, 9));
    assert_eq!(stage.config().local_package(), Some("de_DE"));
    let broken = stage.clone().file(
        "/srv/www/wp-includes/version.php",
        "<?php $wp_version = f();",
    );
    assert!(
        broken
            .error()
            .starts_with("no $wp_version in /srv/www/wp-includes/version.php;")
    );
    let mut none = stage;
    none.files
        .remove(Path::new("/srv/www/wp-includes/version.php"));
    assert!(none.error().starts_with("no $wp_version in "));
}

/// The rule of Debian's package, in our words.
const PER_HOST: &str = r#"<?php
$host = preg_replace('/:.*/', "", $_SERVER['HTTP_HOST']);
$host = preg_replace("/[^a-zA-Z0-9.\-]/", "", $host);
if (isset($_SERVER['WORDPRESS_CONFIG']) && preg_match("/^[a-zA-Z0-9-]+$/", $_SERVER['WORDPRESS_CONFIG'])) {
    $file = '/etc/wordpress/config-'.$_SERVER['WORDPRESS_CONFIG'].'.php';
} else {
    $file = '/etc/wordpress/config-'.strtolower($host).'.php';
}
$main = '/etc/wordpress/config-'.strtolower(preg_replace("/^[^.]*\./", "", $host)).'.php';
if (file_exists($file)) { require_once($file); }
elseif (file_exists($main)) { require_once($main); }
elseif (file_exists("/etc/wordpress/config-default.php")) { require_once("/etc/wordpress/config-default.php"); }
else { header("HTTP/1.0 404 Not Found"); echo "<b>$file</b>"; exit(1); }
if (!defined('DB_NAME')) define('DB_NAME', 'wordpress');
if (!defined('DB_USER')) define('DB_USER', 'wordpress');
if (!defined('DB_HOST')) define('DB_HOST', 'localhost');
if (!defined('WP_CONTENT_DIR') && !defined('DONT_SET_WP_CONTENT_DIR')) define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content');
if (!isset($table_prefix)) { $table_prefix = 'wp_'; }
require_once(ABSPATH . 'wp-settings.php');
?>
"#;

#[test]
fn one_installation_serves_many_hosts() {
    let per_host =
        |name: &str| format!("<?php define('DB_NAME', '{name}'); define('DB_PASSWORD', 'p');");
    let stage = Stage::new(PER_HOST)
        .file(
            "/etc/wordpress/config-shop.example.org.php",
            per_host("shop"),
        )
        .file("/etc/wordpress/config-example.org.php", per_host("main"))
        .file("/etc/wordpress/config-named.php", per_host("named"));
    let name = |host: &str| {
        let config = stage.clone().server("HTTP_HOST", host).config();
        assert_eq!(
            config.site().content_dir(),
            Path::new("/var/lib/wordpress/wp-content")
        );
        config.database().name().to_owned()
    };
    assert_eq!(name("Shop.Example.org:8443"), "shop");
    assert_eq!(name("other.example.org"), "main");
    let error = stage.clone().server("HTTP_HOST", "x/../shop").error();
    assert!(error.contains("exit in wp-config.php line 13"), "{error}");
    let named = stage.clone().server("WORDPRESS_CONFIG", "named").config();
    assert_eq!(named.database().name(), "named");
    let error = stage.clone().server("HTTP_HOST", "elsewhere.net").error();
    assert!(error.contains("exit in wp-config.php line 13"), "{error}");
    let fallback = stage.file("/etc/wordpress/config-default.php", per_host("default"));
    assert_eq!(fallback.config().database().name(), "default");
}

#[test]
fn files_are_included_as_php_finds_them() {
    let stage = Stage::new(
        "<?php $c = require 'conf/values.php'; define('X', $c['x'] . (include './none.php') . N);
         require_once 'conf/n.php'; require_once __DIR__ . '/conf/../conf/n.php';",
    )
    .file(
        "/srv/www/conf/values.php",
        "<?php require 'n.php'; return ['x' => basename(__DIR__)];",
    )
    .file(
        "/srv/www/conf/n.php",
        "<?php define('N', 'n'); $GLOBALS['count'][] = 1;",
    );
    assert_eq!(stage.constant("X").unwrap(), "confn");
}

#[test]
fn mutated_and_cut_files_never_panic_or_hang() {
    let vectors: Json =
        serde_json::from_str(include_str!("../../tests/vectors/wp_config.json")).unwrap();
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let mut understood = 0;
    for case in vectors["cases"].as_array().unwrap() {
        for text in case["files"].as_object().unwrap().values() {
            let text = text.as_str().unwrap().as_bytes();
            for _ in 0..60 {
                let mut text = text.to_vec();
                text.truncate(1 + dice.below(text.len()));
                for _ in 0..dice.below(4) {
                    let at = dice.below(text.len());
                    text[at] = b"'\"$(){}[];,.?:<>=&|!\\/*# \n\xff0aX"[dice.below(30)];
                }
                let stage = Stage::new("").file("/srv/www/wp-config.php", text);
                understood += usize::from(stage.read().is_ok());
            }
        }
    }
    assert!(understood > 50, "{understood}");
}

#[test]
fn deep_long_and_endless_files_end() {
    let many = |text: &str| text.repeat(20_000);
    let hostile = [
        format!("define('X', {}1{});", many("("), many(")")),
        format!("define('X', {}1{});", many("["), many("]")),
        format!("$a{} = 1;", many("[1]")),
        format!("$a = {}1;", many("!")),
        format!("$a = {}1;", many("$a = ")),
        format!("$a = 1{};", many(" + 1")),
        format!("$a = 1{};", many(" ? 1 : 1")),
        format!("$a = ''{};", many(" . 'x'")),
        format!("$a{};", many("->b")),
        many("{"),
        many("if (1) "),
        many("if (u()) { "),
        many("else if (1) {} "),
        format!("if (0) {{}} {}", many("else if (u()) {} ")),
        many("if (u()) { define('Y', 1); } "),
        many("function f() { "),
        many("\"{$a["),
        many("<<<A\n"),
        format!("$s = \"{}\";", many("{$a}")),
        "while (1) { $a = [$a, $a]; }".to_owned(),
        "$a = 'x'; while (1) { $a .= $a; }".to_owned(),
        "$a = []; while (1) { $a[] = $a; }".to_owned(),
        "while (1) { $a = [$a]; }".to_owned(),
        "while (1) { $s = implode($s, [$s, 'a', $s]) . 'bb'; }".to_owned(),
        "function f() { return f() . f(); } f();".to_owned(),
        "function f() { if (u()) { f(); } else { f(); } } f();".to_owned(),
        "include __FILE__;".to_owned(),
        "while (1) { include __FILE__; }".to_owned(),
        "eval($c = 'eval($c);');".to_owned(),
        "preg_match('/(((a{1000}){1000}){1000})/', 'a'); preg_match('/(a*)*b/', str_repeat('a', 99));".to_owned(),
        "for (;;);".to_owned(),
        format!("switch (u()) {{ {} }}", many("case 1: ")),
        "\u{0}\u{1}\u{7f}`ls`; #[A] @@@ <?php ?> <? <?= ".to_owned(),
    ];
    for code in hostile {
        let start = std::time::Instant::now();
        let _ = Stage::with(&code).read();
        let took = start.elapsed();
        assert!(
            took.as_secs() < 10,
            "{took:?} {}",
            &code[..code.len().min(60)]
        );
    }
}
