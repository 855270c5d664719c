//! The inbox's own tables.

use super::{NORA, SUE, stage};

#[test]
fn an_older_program_leaves_a_newer_table_alone() {
    let stage = stage();
    stage.run("update_tags", SUE);
    stage
        .site
        .sql(&["UPDATE wp_bento_webhooks_state SET version = 2"]);
    let answer = stage.run("add", NORA);
    assert_eq!(answer.status, 503, "{answer}");
    assert!(answer.stderr.contains("newer bento-webhooks"), "{answer}");
    assert_eq!(stage.rows_kept(), "0");
    stage.site.sql(&["INSERT INTO wp_bento_webhooks_inbox (kind, person, action, contact, came, due) VALUES (0, '', 1, 'new', 0, 0)"]);
    for command in [
        &["work", "--now"][..],
        &["queue"],
        &["retry", "1"],
        &["drop", "1"],
    ] {
        let (code, _, error) = stage.command(command);
        assert_eq!(code, 1, "{command:?}");
        assert!(error.contains("newer bento-webhooks"), "{error}");
    }
    let row = "SELECT CONCAT_WS(' ', attempts, due) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(row), "0 0");
}

/// Whoever makes the tables may be killed between two of them; a dump may have been restored without rows.
#[test]
fn tables_that_are_half_made_are_finished() {
    let harms = [
        "DELETE FROM wp_bento_webhooks_state",
        "DROP TABLE wp_bento_webhooks_state",
        "DROP TABLE wp_bento_webhooks_inbox",
        "DROP TABLE wp_bento_webhooks_lock",
        "DROP TABLE wp_bento_webhooks_lock, wp_bento_webhooks_inbox",
    ];
    for harm in harms {
        let stage = stage();
        stage.run("update_tags", SUE);
        stage.site.sql(&[harm]);
        let answer = stage.run("add", NORA);
        assert_eq!(answer.result(), "applied", "{harm}\n{answer}");
        assert_eq!(stage.rows_kept(), "0", "{harm}");
    }
}

/// InnoDB whatever the server would choose: rows of other engines know no transactions.
#[test]
fn our_tables_are_innodb_whatever_wordpress_uses() {
    let stage = stage();
    stage.site.sql(&[
        "ALTER TABLE wp_users ENGINE=MyISAM",
        "ALTER TABLE wp_usermeta ENGINE=MyISAM",
    ]);
    stage.run("update_tags", SUE);
    let engines = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE '%bento%' AND ENGINE = 'InnoDB'";
    assert_eq!(stage.value(engines), "3");
}
