//! Those who are measured: programs that are started for each webhook, and web servers that are asked over HTTP.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use wait4::Wait4 as _;

use crate::ground::{Action, Ground};
use crate::hosting::Shop;
use crate::meter::{self, Counts, Sent};
use crate::support::cgi::{Body, Program, Request};
use crate::support::database::PASSWORD;

/// How a contender gets its webhooks.
pub(crate) enum Way {
    /// As a process for each, which leaves how it did in its answer.
    Started(Program),
    /// The same for the floor, which follows a script.
    Scripted(Program, PathBuf),
    /// Over HTTP, at this address.
    Asked(String),
}

/// Who is measured.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    /// The parameter that names the action.
    pub(crate) parameter: &'static str,
    pub(crate) shop: &'a Shop,
    /// Which of the generated users are this one's own.
    pub(crate) number: u64,
}

/// How one webhook went.
pub(crate) struct Run {
    pub(crate) wall: Duration,
    /// Of the process that was started; none where a server did the work.
    pub(crate) cpu: Option<Duration>,
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Contender<'_> {
    /// Whether it keeps for later what cannot be done at once.
    pub(crate) fn keeps(&self) -> bool {
        self.parameter == "wpf_action"
    }

    /// Makes something to do; the webhook about it.
    pub(crate) fn prepare(&self, ground: &Ground, action: Action, turn: u64) -> Request {
        if let Way::Scripted(..) = self.way {
            // The floor takes its work from the inbox as the program did, but never hands it back.
            self.shop.sql(&["DELETE FROM wp_bento_webhooks_inbox"]);
        }
        ground.request(action, self.number, turn, self.parameter)
    }

    /// Sends the webhook and checks the answer.
    pub(crate) fn checked(&self, request: &Request, action: Action) -> Result<Run> {
        let run = self.send(request, action)?;
        let is_right = match self.way {
            Way::Scripted(..) => run.status == 200,
            _ => action.is_right(run.status, &run.body),
        };
        ensure!(
            is_right,
            "{}, {}: {} {}",
            self.name,
            action.name(),
            run.status,
            run.body
        );
        Ok(run)
    }

    /// Both.
    pub(crate) fn webhook(&self, ground: &Ground, action: Action, turn: u64) -> Result<Run> {
        self.checked(&self.prepare(ground, action, turn), action)
    }

    /// Sends a webhook.
    pub(crate) fn send(&self, request: &Request, action: Action) -> Result<Run> {
        match &self.way {
            Way::Started(program) => start(program, request),
            Way::Scripted(program, folder) => start(program, &scripted(request, folder, action)),
            Way::Asked(address) => ask(address, request),
        }
    }

    /// What one webhook sends over the wires.
    pub(crate) fn counts(&self, ground: &Ground, action: Action, turn: u64) -> Result<Counts> {
        let request = self.prepare(ground, action, turn);
        Counts::of(&self.shop.database, &ground.front, || {
            self.checked(&request, action).map(drop)
        })
    }

    /// The most memory that the program has in use while it works; the highest of some runs, for one may end unseen.
    pub(crate) fn memory(&self, ground: &Ground, action: Action) -> Result<Option<u64>> {
        let mut peak = None;
        for turn in 0..8 {
            let request = self.prepare(ground, action, turn);
            let (program, request) = match &self.way {
                Way::Started(program) => (program, request),
                Way::Scripted(program, folder) => (program, scripted(&request, folder, action)),
                Way::Asked(_) => return Ok(None),
            };
            let mut child = program.spawn(&request);
            feed(&mut child, &request)?;
            while let Some(memory) = meter::peak_memory(child.id()) {
                peak = peak.max(Some(memory));
            }
            child.wait()?;
        }
        Ok(peak)
    }

    /// Instructions of one run, where valgrind is installed.
    pub(crate) fn instructions(&self, ground: &Ground, action: Action) -> Result<Option<u64>> {
        let mut request = self.prepare(ground, action, 0);
        let program = match &self.way {
            Way::Started(program) => program,
            Way::Scripted(program, folder) => {
                request = scripted(&request, folder, action);
                program
            }
            Way::Asked(_) => return Ok(None),
        };
        if std::process::Command::new("valgrind")
            .arg("--version")
            .output()
            .is_err()
        {
            return Ok(None);
        }
        let callgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
        request.arguments = callgrind.map(Into::into).to_vec();
        request.arguments.push(program.binary().into());
        let answer = program.started_by("valgrind").run(&request);
        Ok(meter::instructions(&answer.stderr))
    }
}

/// What the floor is to send for an action; recorded from the program.
pub(crate) fn write_script(
    folder: &Path,
    action: Action,
    shop: &Shop,
    authority: &Path,
    sent: &[Sent],
) -> Result<()> {
    let name = shop.database.name();
    let socket = shop.database.server().socket();
    let mut script = [
        name,
        PASSWORD,
        name,
        &socket.to_string_lossy(),
        &authority.to_string_lossy(),
    ]
    .join("\0");
    for sent in sent {
        match sent {
            Sent::Packet(sql) => script += &format!("\0sql\0{sql}"),
            Sent::Call(request) => {
                let request = String::from_utf8_lossy(request);
                let line = |name: &str| {
                    let found = request.lines().find_map(|line| {
                        let (own, value) = line.split_once(": ")?;
                        own.eq_ignore_ascii_case(name)
                            .then(|| value.trim().to_owned())
                    });
                    found.with_context(|| format!("a call without {name}"))
                };
                let target = request.split(' ').nth(1).context("no request")?;
                ensure!(request.starts_with("GET "), "the floor only knows GET");
                script += &format!(
                    "\0get\0https://{}{target}\0{}",
                    line("host")?,
                    line("authorization")?
                );
            }
        }
    }
    fs::write(script_file(folder, action), script + "\0")?;
    Ok(())
}

fn script_file(folder: &Path, action: Action) -> PathBuf {
    folder.join(format!("{action:?}.script"))
}

fn scripted(request: &Request, folder: &Path, action: Action) -> Request {
    let mut request = request.clone();
    let file = script_file(folder, action).display().to_string();
    request.environment.push(("FLOOR_SCRIPT".to_owned(), file));
    request
}

fn start(program: &Program, request: &Request) -> Result<Run> {
    let begun = Instant::now();
    let mut child = program.spawn(request);
    feed(&mut child, request)?;
    let mut answer = String::new();
    child
        .stdout
        .take()
        .context("no output")?
        .read_to_string(&mut answer)?;
    let mut errors = String::new();
    child
        .stderr
        .take()
        .context("no errors")?
        .read_to_string(&mut errors)?;
    let usage = child.wait4()?.rusage;
    let wall = begun.elapsed();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("no answer, but: {errors}"))?;
    let status = head.lines().find_map(|line| line.strip_prefix("Status: "));
    let status = status
        .and_then(|status| status.get(..3))
        .context("no status")?;
    Ok(Run {
        wall,
        cpu: Some(usage.utime + usage.stime),
        status: status.parse()?,
        body: serde_json::from_str(body)?,
    })
}

fn feed(child: &mut Child, request: &Request) -> Result<()> {
    let Body::Exact(bytes) = &request.body else {
        bail!("only whole bodies are sent here");
    };
    let mut input = child.stdin.take().context("no input")?;
    Ok(input.write_all(bytes)?)
}

/// Sends a webhook to a web server.
pub(crate) fn ask(address: &str, request: &Request) -> Result<Run> {
    let Body::Exact(bytes) = &request.body else {
        bail!("only whole bodies are sent here");
    };
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None);
    let agent = config.build().new_agent();
    let begun = Instant::now();
    let sent = agent
        .post(format!("{address}{}", request.target))
        .header("Content-Type", "application/json")
        .send(bytes);
    let mut answer = sent?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string()?;
    let wall = begun.elapsed();
    let body = serde_json::from_str(&text).with_context(|| format!("{status}: {text:.300}"))?;
    Ok(Run {
        wall,
        cpu: None,
        status,
        body,
    })
}
