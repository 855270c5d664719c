//! Names and addresses made to smuggle a header or a recipient into a mail.
//!
//! What counts is what a real mail program makes of it: msmtp reads the recipients out of the head, as sendmail does
//! with `-t`, and a real mail server writes down whom it is to deliver to.

use super::{applied, complaints, stage_with_outbox, welcoming};
use crate::stage::{NORA, SUE, webhook};
use crate::support::bento::Subscriber;
use crate::support::mail::MailServer;
use serde_json::json;

/// Parts of the head, in order, whatever the names are.
const HEAD: [&str; 9] = [
    "To",
    "Subject",
    "Date",
    "From",
    "Message-ID",
    "X-Mailer",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// What a name, a login, the site's name or the owner's address may hold.
const NAMES: [&str; 30] = [
    "Eve\r\nBcc: eve@evil.test",
    "Eve\nBcc: eve@evil.test",
    "Eve\rBcc: eve@evil.test",
    "Eve\r\n\r\nBcc: eve@evil.test",
    "Eve\n To: eve@evil.test",
    "Eve%0d%0aBcc:%20eve@evil.test",
    "Eve%0ABcc: eve@evil.test",
    "=?UTF-8?Q?Eve=0D=0ABcc:_eve@evil.test?=",
    "=?UTF-8?B?RXZlDQpCY2M6IGV2ZUBldmlsLnRlc3Q=?=",
    "Eve, eve@evil.test",
    "\"Eve\" <eve@evil.test>",
    "Eve; eve@evil.test",
    "Eve \"the\" 'Quote'",
    "Eve\\",
    "Eve\0Bcc: eve@evil.test",
    "Eve\u{b}Bcc: eve@evil.test",
    "Eve\u{85}Bcc: eve@evil.test",
    "Eve\u{2028}Bcc: eve@evil.test",
    "Eve\u{2029}Bcc: eve@evil.test",
    "Eve 🎉🎉🎉",
    "日本語の名前です、とても長いのです、本当に長いのです",
    "\u{202e}evE\u{200b}",
    ".\r\nQUIT\r\n",
    "\r\n.\r\nMAIL FROM:<eve@evil.test>\r\n",
    "--boundary\r\nContent-Type: text/html",
    "###EMAIL###",
    "%s %1$s %%",
    "$(id) `id` | id; id && id",
    "-f eve@evil.test -X /tmp/x",
    "<script>alert(1)</script>",
];

/// Addresses, and whether WordPress takes them as they are.
const ADDRESSES: [(&str, bool); 30] = [
    ("eve@example.test\r\nBcc: x@evil.test", false),
    ("eve@example.test\nBcc: x@evil.test", false),
    ("eve@example.test, x@evil.test", false),
    ("eve@example.test,x@evil.test", false),
    ("eve@example.test;x@evil.test", false),
    ("eve@example.test x@evil.test", false),
    ("<eve@example.test>, <x@evil.test>", false),
    ("Eve <eve@example.test>", false),
    ("\"eve, x@evil.test\"@example.test", false),
    ("\"eve\\\"\"@example.test", false),
    ("eve(x@evil.test)@example.test", false),
    ("eve@example.test(comment)", false),
    ("group: eve@example.test, x@evil.test;", false),
    ("eve@[127.0.0.1]", false),
    ("eve@example.test%0d%0aBcc:x@evil.test", false),
    ("eve%0aBcc@example.test", true),
    ("eve%x@evil.test@example.test", false),
    ("@evil.test:eve@example.test", false),
    ("eve!x@example.test", true),
    ("-oQ/tmp@example.test", true),
    ("|id@example.test", true),
    ("/etc/passwd@example.test", true),
    ("o'neill@example.test", true),
    ("a&b@example.test", true),
    ("{eve}=?`~#$*@example.test", true),
    ("eve@example.test\0x@evil.test", false),
    ("ève@example.test", false),
    ("eve@exämple.test", false),
    ("eve@example.test\u{2028}", true),
    ("\teve+tag@example.test ", true),
];

/// Whom the mails of the server are for.
fn recipients(mails: &[serde_json::Value]) -> Vec<String> {
    let all = mails.iter().flat_map(|mail| mail["to"].as_array().unwrap());
    all.map(|to| to.as_str().unwrap().to_owned()).collect()
}

/// The names of a mail's headers, in order.
fn headers(text: &str) -> Vec<&str> {
    let (head, _) = text.split_once("\n\n").unwrap();
    let lines = head.lines().filter(|line| !line.starts_with(' '));
    lines.map(|line| line.split(": ").next().unwrap()).collect()
}

/// The command that reads recipients from the head and hands the mail to this server.
fn msmtp(server: &MailServer) -> String {
    format!(
        "/usr/bin/msmtp --file=/dev/null --host=127.0.0.1 --port={} --tls=off --auth=off --from=wordpress@shop.example.test -t -i",
        server.port
    )
}

#[test]
fn no_name_adds_a_header_or_a_recipient() {
    let server = MailServer::start(&[]);
    let given = json!({"changed_settings": {
        "contact_fields.user_login": {"active": "1", "type": "text", "crm_field": "username"},
    }});
    for (index, name) in NAMES.iter().enumerate() {
        let email = format!("eve{index}@example.test");
        let (mut stage, _outbox) = stage_with_outbox(&given, |world| {
            let fields = json!({
                "first_name": name, "last_name": name, "display_name": name, "nickname": name,
                "username": format!("eve{index} {name}").chars().take(50).collect::<String>(),
            });
            world.subscribers[1] = Subscriber::new(NORA, &email, &["11"]).with_fields(fields);
            world.subscribers[0] = Subscriber::new(SUE, &format!("sue{index}@new.test"), &["13"]);
        });
        stage
            .site
            .define("BENTO_WEBHOOKS_SENDMAIL", &msmtp(&server));
        let quoted: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
        stage.site.sql(&[&format!(
            "UPDATE wp_options SET option_value = CONVERT(X'{quoted}' USING utf8mb4) WHERE option_name IN ('blogname', 'admin_email')"
        )]);
        assert_eq!(
            applied(&stage.program.run(&welcoming(NORA))),
            "",
            "{name:?}: {:?}",
            complaints(&stage)
        );
        assert_eq!(
            applied(&stage.program.run(&webhook("update", SUE))),
            "",
            "{name:?}"
        );
    }
    let mails = server.finish();
    let wanted: Vec<String> = (0..NAMES.len())
        .flat_map(|index| {
            [
                format!("eve{index}@example.test"),
                "sue@example.test".to_owned(),
            ]
        })
        .collect();
    assert_eq!(recipients(&mails), wanted);
    for mail in &mails {
        let text = mail["text"].as_str().unwrap();
        let found = headers(text);
        assert!(found == HEAD || found == HEAD[..8], "{text}");
    }
}

#[test]
fn no_address_adds_a_header_or_a_recipient() {
    let server = MailServer::start(&[]);
    let mut wanted = Vec::new();
    for (index, (address, usable)) in ADDRESSES.iter().enumerate() {
        let (mut stage, _outbox) = stage_with_outbox(&json!({}), |world| {
            world.subscribers[1] = Subscriber::new(NORA, address, &["11"]);
            world.subscribers[0] = Subscriber::new(SUE, &format!("sue{index}@new.test"), &["13"]);
        });
        // One way for the welcome, the other for the notice.
        stage
            .site
            .define("BENTO_WEBHOOKS_SENDMAIL", &msmtp(&server));
        let answer = stage.program.run(&welcoming(NORA));
        if *usable {
            assert_eq!(
                applied(&answer),
                "",
                "{address:?}: {:?}",
                complaints(&stage)
            );
            wanted.push(address.trim().to_owned());
        } else {
            assert_eq!(answer.result(), "ignored", "{address:?} {answer}");
        }
        // A column may hold whatever other programs have put there.
        let quoted: String = address.bytes().map(|byte| format!("{byte:02x}")).collect();
        stage.site.sql(&[&format!(
            "UPDATE wp_users SET user_email = CONVERT(X'{quoted}' USING utf8mb4) WHERE ID = 3"
        )]);
        stage.site.define(
            "BENTO_WEBHOOKS_SMTP",
            &format!("smtp://127.0.0.1:{}", server.port),
        );
        let remark = applied(&stage.program.run(&webhook("update", SUE)));
        // Blanks around an address are not WordPress's, and it would refuse to send there.
        if *usable && address.trim() == *address {
            assert_eq!(remark, "", "{address:?}");
            wanted.push((*address).to_owned());
        } else {
            assert!(
                remark.contains("could not be told"),
                "{address:?}: {remark}"
            );
        }
    }
    let mails = server.finish();
    assert_eq!(recipients(&mails), wanted);
    for mail in &mails {
        assert_eq!(headers(mail["text"].as_str().unwrap()), HEAD[..8], "{mail}");
    }
}
