//! The table of checks: their ids, which are for ever, their order, and what each needs.

use super::finding::Finding;
use super::patient::Patient;
use super::{answers, crm, database, files, fusion, outside, program, queue, wordpress};

/// One check.
pub(super) struct Check {
    /// Its name in output, documentation and support.
    pub(super) id: &'static str,
    /// What it looks at, for `--list`.
    pub(super) about: &'static str,
    /// Checks without whose success this one says nothing.
    pub(super) needs: &'static [&'static str],
    /// Checks that come first, whatever they find.
    pub(super) after: &'static [&'static str],
    /// The check itself.
    pub(super) run: fn(&Patient) -> Vec<Finding>,
}

/// Shorter than a struct literal for each.
const fn check(
    id: &'static str,
    about: &'static str,
    needs: &'static [&'static str],
    run: fn(&Patient) -> Vec<Finding>,
) -> Check {
    Check {
        id,
        about,
        needs,
        after: &[],
        run,
    }
}

/// A check that copes with whatever those before it have found.
const fn later(
    id: &'static str,
    about: &'static str,
    after: &'static [&'static str],
    run: fn(&Patient) -> Vec<Finding>,
) -> Check {
    Check {
        after,
        ..check(id, about, &[], run)
    }
}

/// All checks, in the order in which they are shown.
pub(super) const CHECKS: &[Check] = &[
    check(
        "prog.version",
        "version, and whose account runs the program",
        &[],
        program::version,
    ),
    check(
        "prog.files",
        "the program's own folder: modes, owner, outside of the web root",
        &[],
        files::own,
    ),
    check(
        "prog.limits",
        "memory, processes and disk",
        &[],
        program::limits,
    ),
    later(
        "prog.clock",
        "the clock, against those of others",
        &["db.connect", "web.reach", "bento.reach"],
        program::clock,
    ),
    check(
        "wp.config",
        "wp-config.php is found and understood",
        &[],
        wordpress::config,
    ),
    check(
        "wp.constants",
        "settings of ours have names and values that count",
        &["wp.config"],
        wordpress::constants,
    ),
    check(
        "wp.version",
        "WordPress is a tested release",
        &["wp.config"],
        wordpress::version,
    ),
    later(
        "wp.home",
        "the home address",
        &["wpf.settings"],
        wordpress::home,
    ),
    check(
        "wp.cache",
        "no object cache hides what changes",
        &["wp.config"],
        wordpress::cache,
    ),
    check(
        "db.connect",
        "the database answers",
        &["wp.config"],
        database::connect,
    ),
    check(
        "db.rights",
        "the database user may read and write",
        &["db.tables"],
        database::rights,
    ),
    check(
        "db.tables",
        "the tables are there and InnoDB",
        &["db.connect"],
        database::tables,
    ),
    check(
        "db.users",
        "no two users share an e-mail address",
        &["db.tables"],
        database::users,
    ),
    check(
        "db.index",
        "on a large site, contact ids have an index",
        &["db.tables"],
        database::index,
    ),
    check(
        "wpf.settings",
        "WP Fusion is connected to Bento, with a strong access key",
        &["db.tables"],
        fusion::settings,
    ),
    later(
        "wpf.role",
        "the role of new users exists and is harmless",
        &["wpf.settings"],
        fusion::role,
    ),
    later(
        "wpf.fields",
        "the field map",
        &["wpf.settings"],
        fusion::fields,
    ),
    later(
        "wpf.tags",
        "the list of tags",
        &["wpf.settings"],
        fusion::tags,
    ),
    check(
        "wpf.plugin",
        "WP Fusion is there and active",
        &["db.tables"],
        fusion::plugin,
    ),
    check(
        "web.block",
        "our lines in .htaccess are there, first and unchanged",
        &[],
        files::block,
    ),
    check(
        "web.folder",
        "stub and rules: content, modes, owner",
        &[],
        files::folder,
    ),
    check(
        "web.others",
        "no rule of others refuses or redirects webhooks",
        &["web.block"],
        files::others,
    ),
    check(
        "web.dns",
        "the host name leads somewhere",
        &["wp.home"],
        outside::dns,
    ),
    check(
        "web.tls",
        "the certificate is valid, and for how long",
        &["wp.home"],
        outside::tls,
    ),
    Check {
        after: &["web.dns", "web.tls"],
        ..check(
            "web.reach",
            "the site can be reached from here",
            &["wp.home"],
            outside::reach,
        )
    },
    check(
        "web.get",
        "a webhook is answered by this program, freshly",
        &["web.reach", "web.block", "web.folder", "prog.files"],
        answers::get,
    ),
    check(
        "web.post",
        "a POST arrives whole, without a redirect",
        &["web.get"],
        answers::post,
    ),
    check(
        "web.html",
        "a body with HTML in it gets past the firewall",
        &["web.post"],
        answers::html,
    ),
    check(
        "web.key",
        "a wrong key is refused by this program",
        &["web.post"],
        answers::key,
    ),
    check(
        "web.pass",
        "everything else still goes to WordPress",
        &["web.reach"],
        answers::pass,
    ),
    check(
        "web.leak",
        "no file of ours and no settings can be downloaded",
        &["web.reach"],
        answers::leak,
    ),
    check(
        "web.after",
        "work goes on when the answer is out",
        &["web.post", "db.rights"],
        queue::after,
    ),
    check(
        "web.keylog",
        "whether the key can travel where no log keeps it",
        &["web.post"],
        answers::key_place,
    ),
    later(
        "bento.reach",
        "Bento answers",
        &["wpf.settings"],
        crm::reach,
    ),
    check(
        "bento.auth",
        "Bento accepts site and keys",
        &["bento.reach"],
        crm::auth,
    ),
    check(
        "bento.lists",
        "Bento knows the tags and fields that are mapped",
        &["bento.auth"],
        crm::lists,
    ),
    check(
        "queue.state",
        "how many webhooks wait, since when, and how many were given up",
        &["db.tables"],
        queue::state,
    ),
    Check {
        after: &["web.after"],
        ..check(
            "queue.worker",
            "somebody works on what waits",
            &["db.tables"],
            queue::worker,
        )
    },
    check(
        "hook.last",
        "when the last webhook came",
        &["db.tables"],
        queue::last,
    ),
];
