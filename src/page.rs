//! The answer as a small page, for owners who open a webhook's address in a browser. Pure.
//!
//! Self-contained: no script, no picture, nothing loaded from elsewhere, and a policy that says so. Every value is escaped.
//! It never shows a key or a password, because an [`Outcome`] holds none.

use crate::outcome::{Applied, Ending, Outcome, Refusal, Trouble};
use std::fmt::Write;

/// `Content-Security-Policy` of the page.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page says when everything is right with an address.
pub const WORKS: &str = "This address works";

const STYLE: &str = "\
:root{color-scheme:light dark;--back:#f4f5f7;--card:#fff;--ink:#1d2327;--soft:#50575e;--line:#dcdcde;--chip:#eef0f2;--good:#00693a;--calm:#1f5a8a;--bad:#a4262c}\
@media (prefers-color-scheme:dark){:root{--back:#14171a;--card:#1e2327;--ink:#f0f0f1;--soft:#b4b9be;--line:#3c434a;--chip:#2c3338;--good:#6fd39b;--calm:#8fc3ee;--bad:#ff9a9a}}\
*{box-sizing:border-box}\
body{margin:0;padding:1.25rem;background:var(--back);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;overflow-wrap:anywhere}\
main{max-width:38rem;margin:6vh auto 0;padding:1.75rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}\
.good{--mood:var(--good)}.calm{--mood:var(--calm)}.bad{--mood:var(--bad)}\
h1{display:flex;align-items:center;gap:.65rem;margin:0 0 .75rem;font-size:1.4rem;line-height:1.25;color:var(--mood);text-wrap:balance}\
svg{flex:none;width:1.75rem;height:1.75rem;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}\
h2{margin:1.25rem 0 .25rem;font-size:1rem}\
p{margin:0}\
code{padding:.1em .3em;background:var(--chip);border-radius:.25rem;font:.92em ui-monospace,Menlo,Consolas,monospace;display:inline-block;max-width:100%}\
dl{display:grid;grid-template-columns:auto 1fr;gap:.4rem 1.25rem;margin:1.5rem 0 0;padding-top:1.25rem;border-top:1px solid var(--line);font-size:.9375rem}\
dt{color:var(--soft)}dd{margin:0}\
ul{display:flex;flex-wrap:wrap;gap:.35rem;margin:0;padding:0;list-style:none}\
li{padding:0 .5rem;background:var(--chip);border-radius:.375rem}\
footer{max-width:38rem;margin:1rem auto;color:var(--soft);font-size:.875rem;text-align:center}\
@media (max-width:30rem){main{margin-top:0;padding:1.25rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.65rem}}";

/// The page for an outcome.
pub fn render(outcome: &Outcome) -> String {
    let words = words(&outcome.ending);
    let (class, sign) = words.mood.look();
    let title = words.title;
    let mut page = String::with_capacity(6144);
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title} – bento-webhooks</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main class=\"{class}\">\n\
         <h1><svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"10\"/><path d=\"{sign}\"/></svg>{title}</h1>\n\
         <p>{}</p>\n<h2>What to do next</h2>\n<p>{}</p>\n<dl>\n",
        what(&words, outcome),
        words.next
    );
    facts(outcome, &mut page);
    let _ = write!(
        page,
        "</dl>\n</main>\n<footer>bento-webhooks {}. Programs get this answer as JSON.</footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    page
}

/// What happened and why; when something is wrong, that comes first.
fn what(words: &Words, outcome: &Outcome) -> String {
    let Some(reason) = outcome.reason() else {
        return words.what.to_owned();
    };
    let reason = escape(&sentence(&reason));
    match words.mood {
        Mood::Bad => format!("{reason} {}", words.what),
        Mood::Good | Mood::Calm => format!("{} {reason}", words.what),
    }
}

/// How the owner may take it.
enum Mood {
    /// It is as it should be.
    Good,
    /// Nothing is wrong, but it is worth a look.
    Calm,
    /// Somebody must do something.
    Bad,
}

impl Mood {
    /// Its class in the style, and the sign inside the circle: a tick, an i, an exclamation mark.
    fn look(&self) -> (&'static str, &'static str) {
        match self {
            Mood::Good => ("good", "M7.5 12.5l3 3 6-6.5"),
            Mood::Calm => ("calm", "M12 11v5.5M12 7.5v.01"),
            Mood::Bad => ("bad", "M12 7v6M12 16.5v.01"),
        }
    }
}

/// The words for one kind of ending, as HTML.
struct Words {
    mood: Mood,
    title: &'static str,
    /// What happened.
    what: &'static str,
    next: &'static str,
}

impl Words {
    fn new(mood: Mood, title: &'static str, what: &'static str, next: &'static str) -> Words {
        Words {
            mood,
            title,
            what,
            next,
        }
    }
}

fn words(ending: &Ending) -> Words {
    match ending {
        Ending::Tested(_) => Words::new(
            Mood::Good,
            WORKS,
            "bento-webhooks answers here, and the access key is right.",
            "Use the address in a Bento workflow, with <code>add</code>, <code>update</code> or <code>update_tags</code> as its <code>wpf_action</code>.",
        ),
        Ending::Applied(Applied { remark: None, .. }) => Words::new(
            Mood::Good,
            "WordPress is up to date",
            "What Bento knows about this person has been written to the user in WordPress.",
            "You are done: the user’s profile shows the new values.",
        ),
        Ending::Applied(_) => Words::new(
            Mood::Calm,
            "Done, but for one thing",
            "What Bento knows about this person has been written to the user in WordPress.",
            "Do what is said above; sending this again would not help.",
        ),
        Ending::Unchanged => Words::new(
            Mood::Good,
            "Nothing had to change",
            "The user in WordPress already has what Bento knows about this person.",
            "You are done. If you expected a change, make it in Bento first, wait a moment and reload this page.",
        ),
        Ending::Queued(_) => Words::new(
            Mood::Calm,
            "Stored, to be done soon",
            "The webhook is safe in the site’s queue.",
            "Nothing: it is done by itself and need not be sent again. Reload this page in a minute to see whether it is.",
        ),
        Ending::Ignored(_) => Words::new(
            Mood::Calm,
            "Nothing was changed",
            "The address is right, but this webhook does not apply.",
            "Nothing, if that is as it should be. Otherwise change what is named above, then reload this page.",
        ),
        Ending::Refused(refusal) => refused(refusal),
        Ending::Failed(trouble) => failed(trouble),
    }
}

fn refused(refusal: &Refusal) -> Words {
    let title = match refusal {
        Refusal::Key => "Access refused",
        _ => "This request cannot be used",
    };
    let next = match refusal {
        Refusal::Key => {
            "Copy the webhook address from WP Fusion’s settings again: its <code>access_key</code> must be the Access Key shown there."
        }
        Refusal::Person(_) => {
            "To try the address in a browser, put <code>&amp;email=</code> and a person’s address behind it."
        }
        _ => "Change that, and send the webhook again.",
    };
    Words::new(Mood::Bad, title, "Nothing was changed.", next)
}

fn failed(trouble: &Trouble) -> Words {
    let (title, what) = match trouble {
        Trouble::Bug => (
            "Something went wrong",
            "This is a fault of bento-webhooks itself.",
        ),
        Trouble::Tag => (
            "Only partly done",
            "What is known has been written, and no tag was removed.",
        ),
        _ => ("Not done yet", "Nothing was changed."),
    };
    let next = match trouble {
        Trouble::Setup(_) | Trouble::Bug => {
            "Run <code>~/.bento-webhooks/bin/bento-webhooks doctor</code> on the server: it names what is broken and how to mend it."
        }
        Trouble::Tag => "Reload this page in a minute.",
        Trouble::Database { .. } | Trouble::Bento { .. } | Trouble::Mail { .. } => {
            "Reload this page in a minute. If it stays like this, run <code>~/.bento-webhooks/bin/bento-webhooks doctor</code> on the server: it names what is broken."
        }
    };
    Words::new(Mood::Bad, title, what, next)
}

/// A reason with a capital letter and a full stop.
fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first = letters.next().map(char::to_uppercase);
    let first: String = first.into_iter().flatten().collect();
    format!("{first}{}.", letters.as_str())
}

/// The facts as a list of terms.
fn facts(outcome: &Outcome, page: &mut String) {
    let mut fact = |term: &str, html: String| {
        let _ = writeln!(page, "<dt>{term}</dt><dd>{html}</dd>");
    };
    fact("Result", outcome.result().to_owned());
    if let Some(action) = outcome.action {
        fact("Action", action.to_owned());
    }
    if let Some(id) = &outcome.contact_id {
        fact("Bento contact", escape(id));
    }
    if let Some(id) = outcome.user_id {
        fact("WordPress user", format!("#{id}"));
    }
    if let Ending::Applied(applied) = &outcome.ending {
        fact("Tags now", chips(&applied.tags));
        fact("Fields written", chips(&applied.fields));
    }
}

/// Names side by side.
fn chips(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let chips = names
        .iter()
        .map(|name| format!("<li>{}</li>", escape(name)));
    format!("<ul>{}</ul>", chips.collect::<String>())
}

/// `text` for HTML, in content and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_on_the_page_is_escaped() {
        let evil = "<script>alert(\"1\")</script>&'";
        let outcome = Outcome {
            action: Some("update"),
            contact_id: Some(evil.to_owned()),
            user_id: Some(3),
            ending: Ending::Applied(Applied {
                tags: vec![evil.to_owned()],
                fields: vec![evil.to_owned()],
                remark: Some(evil.to_owned()),
            }),
        };
        let page = render(&outcome);
        assert!(
            !page.contains("<script")
                && page.matches("&lt;script&gt;alert(&quot;1&quot;)").count() == 4,
            "{page}"
        );
        assert!(page.contains("&amp;&#39;"), "{page}");
    }

    #[test]
    fn every_ending_says_what_happened_in_words() {
        let table = [
            (Ending::Tested(None), "This address works"),
            (
                Ending::Applied(Applied::default()),
                "WordPress is up to date",
            ),
            (Ending::Unchanged, "Nothing had to change"),
            (Ending::Ignored("the rule".to_owned()), "The rule."),
            (
                Ending::Refused(Refusal::Key),
                "The access key is missing or wrong.",
            ),
            (
                Ending::Failed(Trouble::bento("x")),
                "Bento could not be asked about this person; send this again.",
            ),
        ];
        for (ending, words) in table {
            let page = render(&ending.into());
            assert!(
                page.contains(words) && page.contains("name=\"viewport\""),
                "{page}"
            );
        }
    }
}
