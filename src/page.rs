//! The answer as a small page, for owners who open a webhook's address in a browser. Pure.
//!
//! Self-contained: no script, no picture, nothing loaded from elsewhere, and a policy that says so. Every value is escaped.
//! It never shows a key or a password, because an [`Outcome`] holds none.

use crate::outcome::{Ending, Outcome, Refusal, Trouble};
use std::fmt::Write;

/// `Content-Security-Policy` of the page.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;--back:#f4f5f7;--card:#fff;--ink:#1d2327;--soft:#50575e;--line:#dcdcde;--good:#00693a;--calm:#1f5a8a;--bad:#a4262c}\
@media (prefers-color-scheme:dark){:root{--back:#14171a;--card:#1e2327;--ink:#f0f0f1;--soft:#b4b9be;--line:#3c434a;--good:#6fd39b;--calm:#8fc3ee;--bad:#ff9a9a}}\
*{box-sizing:border-box}\
body{margin:0;padding:1.25rem;background:var(--back);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{max-width:38rem;margin:6vh auto 0;padding:1.5rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}\
h1{margin:0 0 .5rem;font-size:1.4rem;line-height:1.25}\
.good h1{color:var(--good)}.calm h1{color:var(--calm)}.bad h1{color:var(--bad)}\
p{margin:.5rem 0}\
dl{display:grid;grid-template-columns:minmax(6rem,auto) 1fr;gap:.35rem 1rem;margin:1.25rem 0 0;padding-top:1rem;border-top:1px solid var(--line)}\
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\
footer{max-width:38rem;margin:1rem auto;color:var(--soft);font-size:.875rem;text-align:center}\
@media (max-width:26rem){dl{grid-template-columns:1fr}dd{margin-bottom:.5rem}}";

/// The page for an outcome.
pub fn render(outcome: &Outcome) -> String {
    let words = words(outcome);
    let mut page = String::with_capacity(4096);
    let title = escape(words.title);
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title} – bento-webhooks</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main class=\"{}\">\n<h1>{title}</h1>\n",
        words.mood
    );
    for sentence in [
        Some(words.what.to_owned()),
        reason(outcome),
        Some(words.next.to_owned()),
    ]
    .into_iter()
    .flatten()
    {
        if !sentence.is_empty() {
            let _ = writeln!(page, "<p>{}</p>", escape(&sentence));
        }
    }
    facts(outcome, &mut page);
    let _ = write!(
        page,
        "</main>\n<footer>bento-webhooks {}</footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    page
}

/// The words for one kind of outcome.
struct Words {
    mood: &'static str,
    title: &'static str,
    what: &'static str,
    next: &'static str,
}

fn words(outcome: &Outcome) -> Words {
    let (mood, title, what, next) = match &outcome.ending {
        Ending::Tested(_) => (
            "good",
            "The webhook address works",
            "The access key is right and bento-webhooks answers at this address.",
            "Use the address in a Bento workflow with wpf_action set to add, update or update_tags.",
        ),
        Ending::Applied(_) => (
            "good",
            "Done",
            "The user in WordPress now has what Bento knows.",
            "",
        ),
        Ending::Unchanged => (
            "good",
            "Nothing to change",
            "WordPress already has what Bento knows.",
            "",
        ),
        Ending::Queued(_) => (
            "calm",
            "Stored, to be done soon",
            "The webhook is safe:",
            "Nothing needs to be sent again.",
        ),
        Ending::Ignored(_) => (
            "calm",
            "Nothing was done",
            "The request was right, but a rule says no:",
            "Sending it again will end the same way until that changes.",
        ),
        Ending::Refused(Refusal::Key) => (
            "bad",
            "Access refused",
            "",
            "Copy the webhook address from WP Fusion's settings again: its access_key must match the Access Key there.",
        ),
        Ending::Refused(_) => (
            "bad",
            "This request cannot be used",
            "",
            "Nothing was changed.",
        ),
        Ending::Failed(Trouble::Bug) => ("bad", "Something went wrong", "", ""),
        Ending::Failed(_) => (
            "bad",
            "Not done yet",
            "",
            "Bento tries again by itself; in a browser, reload this page in a minute.",
        ),
    };
    Words {
        mood,
        title,
        what,
        next,
    }
}

/// The reason as a sentence with a capital letter and a full stop.
fn reason(outcome: &Outcome) -> Option<String> {
    let reason = outcome.reason()?;
    let mut letters = reason.chars();
    let first = letters.next()?.to_uppercase();
    Some(format!("{first}{}.", letters.as_str()))
}

/// The facts as a list of terms.
fn facts(outcome: &Outcome, page: &mut String) {
    let mut facts: Vec<(&str, String)> = vec![("Result", outcome.result().to_owned())];
    facts.extend(outcome.action.map(|action| ("Action", action.to_owned())));
    facts.extend(outcome.contact_id.clone().map(|id| ("Bento contact", id)));
    facts.extend(
        outcome
            .user_id
            .map(|id| ("WordPress user", format!("#{id}"))),
    );
    if let Ending::Applied(applied) = &outcome.ending {
        let list = |names: &[String]| {
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        facts.push(("Tags", list(&applied.tags)));
        facts.push(("Fields written", list(&applied.fields)));
    }
    page.push_str("<dl>\n");
    for (term, fact) in facts {
        let _ = writeln!(page, "<dt>{term}</dt><dd>{}</dd>", escape(&fact));
    }
    page.push_str("</dl>\n");
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
    use crate::outcome::Applied;

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
            (Ending::Tested(None), "The webhook address works"),
            (Ending::Applied(Applied::default()), "Done"),
            (Ending::Unchanged, "Nothing to change"),
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
