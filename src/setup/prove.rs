//! The proof that it works: requests from outside, each with a nonce of its own, and what must come back.

use super::look::Sight;
use crate::echo::digest;
use crate::web::{Ask, Reply, Verdict, Web, nonce};
use crate::wp_config::Worker;
use std::time::{Duration, Instant};

/// Time for a worker to come after the answer.
const WORKER_TIME: Duration = Duration::from_secs(8);
/// Size of the body that must arrive whole.
const BODY: usize = 2048;

/// What the home page answers, as far as an installation must not change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) status: u16,
    /// Where it redirects to.
    location: Option<String>,
}

impl Front {
    /// Fetches the home page; errs with what was seen.
    pub(super) fn fetch(web: &Web) -> Result<(Front, Reply), String> {
        let reply = web
            .send(&Ask::get(""))
            .map_err(|failure| failure.to_string())?;
        let front = Front {
            status: reply.status,
            location: reply.header("location").map(str::to_owned),
        };
        Ok((front, reply))
    }

    /// Whether the home page still answers as before; says how.
    pub(super) fn check(&self, web: &Web) -> Result<String, String> {
        let (now, _) = Front::fetch(web)?;
        if now == *self {
            return Ok(format!("home page still answers {}", now.status));
        }
        Err(format!(
            "the home page answers {} instead of {}",
            now.status, self.status
        ))
    }
}

/// What becomes of work that is not done when the answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// A worker does it at once.
    RanOn,
    /// There is none: the database user may not make the tables for it.
    NothingKept,
    /// The owner wants cron to do it.
    Cron,
    /// The host ends it with the request: cron must do it.
    Stopped,
}

/// What holds, or what does not.
type Proof = Result<String, String>;

/// Sends the requests.
pub(super) struct Prover<'a> {
    pub(super) web: &'a Web,
    pub(super) sight: &'a Sight,
    pub(super) front: &'a Front,
    /// Path of the stub below the folder of the home address, where it has one.
    pub(super) stub: Option<String>,
}

impl Prover<'_> {
    /// Proves one thing after the other; tells each that holds, and ends with the first that does not.
    pub(super) fn all(&self, mut tell: impl FnMut(&str)) -> Result<usize, String> {
        let proofs: [fn(&Self) -> Proof; 4] = [Self::get, Self::post, Self::others, Self::secrets];
        for proof in proofs {
            tell(&proof(self)?);
        }
        Ok(proofs.len())
    }

    fn get(&self) -> Proof {
        let nonce = nonce();
        let (verdict, took) =
            self.ask(Ask::test(&self.sight.settings.access_key, &nonce), &nonce)?;
        match verdict {
            Verdict::Ours(_) => Ok(format!(
                "GET  …/?wpf_action=test answered by bento-webhooks ({} ms)",
                took.as_millis()
            )),
            other => Err(format!("GET  …/?wpf_action=test: {other}")),
        }
    }

    fn post(&self) -> Proof {
        let nonce = nonce();
        let mut body = format!("{{\"nonce\":\"{nonce}\",\"filler\":\"");
        body.push_str(&"x".repeat(BODY.saturating_sub(body.len() + 2)));
        body.push_str("\"}");
        let ask = Ask::test(&self.sight.settings.access_key, &nonce).post(body.as_bytes());
        match self.ask(ask, &nonce)?.0 {
            Verdict::Ours(echo)
                if echo.length == body.len() && echo.sha256 == digest(body.as_bytes()) =>
            {
                Ok("POST with a 2 kB body arrived whole, no redirect on the way".to_owned())
            }
            Verdict::Ours(echo) => Err(format!(
                "POST: of {} bytes, {} arrived, or others",
                body.len(),
                echo.length
            )),
            other => Err(format!("POST: {other}")),
        }
    }

    /// Addresses that are not ours still go to WordPress.
    fn others(&self) -> Proof {
        let nonce = nonce();
        let ask = Ask::get("")
            .with("wpf_action", "thrivecart")
            .with("nonce", &nonce);
        let (verdict, _) = self.ask(ask, &nonce)?;
        if verdict.is_from_us() {
            return Err("…?wpf_action=thrivecart does not reach WordPress any more".to_owned());
        }
        self.front.check(self.web)?;
        Ok("…?wpf_action=thrivecart and the home page still go to WordPress".to_owned())
    }

    /// What lies in the web root is not handed out.
    fn secrets(&self) -> Proof {
        if let Some(stub) = &self.stub {
            let web = self.web.at(&self.sight.ground.path);
            let reply = web
                .send(&Ask::get(stub))
                .map_err(|failure| failure.to_string())?;
            if Verdict::of(&reply, "") == Verdict::Source {
                return Err("the server hands the program's own file out".to_owned());
            }
        }
        Ok("nothing of it can be downloaded".to_owned())
    }

    /// Whether a worker that a request has started goes on when the answer is out.
    pub(super) fn after(&self) -> Result<Afterwards, String> {
        if !self.sight.prepare_database()? {
            return Ok(Afterwards::NothingKept);
        }
        if self.sight.config.own().worker() == Worker::Cron {
            return Ok(Afterwards::Cron);
        }
        let nonce = nonce();
        let ask = Ask::test(&self.sight.settings.access_key, &nonce).with("after", "1");
        let (verdict, _) = self.ask(ask, &nonce)?;
        if !matches!(verdict, Verdict::Ours(_)) {
            return Err(format!("GET  …/?wpf_action=test: {verdict}"));
        }
        let answered = Instant::now();
        while answered.elapsed() < WORKER_TIME {
            // Nothing tells when another process has written a row.
            std::thread::sleep(Duration::from_millis(100));
            let since = answered.elapsed().as_millis();
            let age = self.sight.last_worked()?;
            if age.is_some_and(|age| u128::from(age) < since) {
                return Ok(Afterwards::RanOn);
            }
        }
        Ok(Afterwards::Stopped)
    }

    fn ask(&self, ask: Ask<'_>, nonce: &str) -> Result<(Verdict, Duration), String> {
        let reply = self.web.send(&ask).map_err(|failure| failure.to_string())?;
        Ok((Verdict::of(&reply, nonce), reply.took))
    }
}
