//! Names that cannot be looked up: the system sets no time for that.

use super::{LEASES_RUN_OUT, SUE, stage, webhook};
use crate::support::database::Server;
use std::process::Command;

/// Starts the program where the file that names are first looked for in is the first argument.
const ELSEWHERE: &str = r#"mount --bind "$0" /etc/hosts && exec "$@""#;

#[test]
fn a_name_that_is_looked_up_for_ever_keeps_no_sender_waiting() {
    let mut stage = stage();
    let api_url = stage.bento.api_url();
    let nowhere = "https://bento.example.test/api/v1";
    stage.site.define("BENTO_WEBHOOKS_API_URL", nowhere);
    // Whoever opens it waits for somebody who writes into it.
    let names = Server::shared().new_folder().join("hosts");
    assert!(
        Command::new("mkfifo")
            .arg(&names)
            .status()
            .unwrap()
            .success()
    );
    let mut request = webhook("update_tags", SUE);
    request.arguments = ["--map-root-user", "--mount", "sh", "-c", ELSEWHERE]
        .map(Into::into)
        .to_vec();
    request.arguments.push(names.into());
    request.arguments.push(stage.program.binary().into());
    let answer = stage.program.started_by("unshare").run(&request);
    assert_eq!(answer.result(), "queued", "{answer}");
    assert!(answer.stderr.contains("no name server answers"), "{answer}");
    assert_eq!(stage.difference(), "");

    stage.site.define("BENTO_WEBHOOKS_API_URL", &api_url);
    stage.site.sql(&[LEASES_RUN_OUT]);
    stage.settle();
    assert_eq!(stage.tags(3), r#"a:1:{i:0;s:3:"VIP";}"#);
}
