//! `bento-webhooks index`: the index on contact ids, which a large site should have.

use super::arguments::Arguments;
use super::{say, wrong_use};
use crate::outcome::Trouble;
use crate::receive;
use crate::site::{ContactIds, Site, Way};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

const HELP: &str = "\
Tells how people are found by their contact ids, for which WordPress has no
index: a webhook with an id alone, and every add of somebody new, makes the
database read all of them. From some thousand linked users on, make one.

Usage: bento-webhooks index [--make | --drop] [--path DIR]

  --make      Add the index to WordPress's usermeta table. The site goes on
              meanwhile, but for tables that are not InnoDB and for clusters
  --drop      Take it away again
  --path DIR  The folder of WordPress (default: from here upward)
";

/// What is to be done.
#[derive(Clone, Copy)]
enum Wish {
    Tell,
    Make,
    Drop,
}

/// Runs the command. Exit code 1: it could not be done; standard error says why.
pub(super) fn run(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::read(arguments, &["--make", "--drop", "--help"], &[]) {
        Ok(arguments) if arguments.has("--help") => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        Ok(arguments) if arguments.rest.is_empty() => arguments,
        Ok(_) => return wrong_use("unknown use of index", HELP),
        Err(why) => return wrong_use(&why, HELP),
    };
    let wish = match (arguments.has("--make"), arguments.has("--drop")) {
        (false, false) => Wish::Tell,
        (true, false) => Wish::Make,
        (false, true) => Wish::Drop,
        (true, true) => return wrong_use("--make or --drop, not both", HELP),
    };
    let result = arguments.with_environment(|env| {
        let config = receive::configure(env)?;
        serve(&mut Site::connect_for_long(&config)?, wish)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "bento-webhooks: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn serve(site: &mut Site<'_>, wish: Wish) -> Result<(), Trouble> {
    let before = site.contact_ids()?;
    let statement = match (wish, before.way) {
        (Wish::Make, Way::Scan) => site.making_index()?,
        (Wish::Drop, Way::Ours) => site.dropping_index(),
        _ => {
            say(&told(&before));
            return Ok(());
        }
    };
    say(&format!("{statement}\n"));
    site.change_index(statement)?;
    say(&told(&site.contact_ids()?));
    Ok(())
}

fn told(ids: &ContactIds) -> String {
    let way = match ids.way {
        Way::Ours => "they are found by our index",
        Way::Theirs => "they are found by an index that is not ours",
        Way::Scan => "there is no index on them",
    };
    format!("{} contact ids in {}: {way}.\n", ids.number, ids.table)
}
