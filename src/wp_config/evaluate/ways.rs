//! Several ways through a file, of which one is taken without our knowing which.
//!
//! Each way is followed with its own state; where they meet again, what they agree on is known. A
//! way that leaves a loop, a function or a file early waits there for the others.

use std::rc::Rc;

use super::{Evaluated, Executed, Flow, Halt, Machine};
use crate::wp_config::state::{State, join_values};
use crate::wp_config::value::{Unknown, Val};

/// What a way can leave early.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    /// `break` and `continue` leave a loop or a `switch`.
    Loop,
    /// `return` leaves a function or a file.
    Body,
}

/// The end of a loop, function or file, and the ways that wait there, joined into one.
#[derive(Debug)]
pub(super) struct Exit {
    bound: Bound,
    waiting: Option<(State, Val, Rc<Unknown>)>,
}

impl Machine<'_> {
    /// Follows two ways with a value at their end.
    pub(super) fn fork(
        &mut self,
        why: &Rc<Unknown>,
        first: impl FnOnce(&mut Self) -> Evaluated,
        second: impl FnOnce(&mut Self) -> Evaluated,
    ) -> Evaluated {
        let flow = self.fork_flows(
            why,
            |machine| first(machine).map(Flow::Value),
            |machine| second(machine).map(Flow::Value),
        );
        Ok(match flow? {
            Flow::Value(value) => value,
            _ => Val::Unknown(why.clone()),
        })
    }

    /// Follows two ways of statements.
    pub(super) fn fork_flows(
        &mut self,
        why: &Rc<Unknown>,
        first: impl FnOnce(&mut Self) -> Executed,
        second: impl FnOnce(&mut Self) -> Executed,
    ) -> Executed {
        self.burn(self.state.size(), why.place.line)?;
        let before = self.state.clone();
        let one = first(self);
        let state = std::mem::replace(&mut self.state, before);
        let two = second(self);
        self.meet(why, (one, state), two)
    }

    /// Follows a loop, a function or a file, and picks up at its end the ways that left it early.
    pub(super) fn bounded(
        &mut self,
        bound: Bound,
        inner: impl FnOnce(&mut Self) -> Executed,
    ) -> Executed {
        let waiting = None;
        self.exits.push(Exit { bound, waiting });
        let flow = inner(self);
        let Some((state, value, why)) = self.exits.pop().and_then(|exit| exit.waiting) else {
            return flow;
        };
        self.burn(self.state.size(), why.place.line)?;
        let left = match bound {
            Bound::Loop => Flow::Next,
            Bound::Body => Flow::Return(value),
        };
        self.meet(&why, (Ok(left), state), flow)
    }

    /// Joins a way with the present one. A way that ends the request counts as not taken, for
    /// WordPress does run with this file.
    fn meet(&mut self, why: &Rc<Unknown>, other: (Executed, State), flow: Executed) -> Executed {
        let (other_flow, other_state) = other;
        match (other_flow, flow) {
            (Err(endless @ Halt::Endless(_)), _) | (_, Err(endless @ Halt::Endless(_))) => {
                Err(endless)
            }
            (Err(Halt::Settings), Err(Halt::Settings)) => {
                self.join(other_state, why);
                Err(Halt::Settings)
            }
            (Err(Halt::Settings), Ok(flow)) => {
                self.complete(other_state, why);
                Ok(flow)
            }
            (Ok(flow), Err(Halt::Settings)) => {
                let state = std::mem::replace(&mut self.state, other_state);
                self.complete(state, why);
                Ok(flow)
            }
            (taken @ (Ok(_) | Err(Halt::Settings)), Err(_)) => {
                self.state = other_state;
                taken
            }
            (Err(_), flow) => flow,
            (Ok(one), Ok(two)) => Ok(self.meet_flows(why, (one, other_state), two)),
        }
    }

    fn meet_flows(&mut self, why: &Rc<Unknown>, other: (Flow, State), flow: Flow) -> Flow {
        let joined = match (&other.0, &flow) {
            (Flow::Next, Flow::Next) => Flow::Next,
            (Flow::Break(one), Flow::Break(two)) if one == two => flow,
            (Flow::Continue(one), Flow::Continue(two)) if one == two => flow,
            (Flow::Return(one), Flow::Return(two)) => {
                Flow::Return(join_values(one.clone(), two, why))
            }
            (Flow::Value(one), Flow::Value(two)) => Flow::Value(join_values(one.clone(), two, why)),
            (Flow::Next, _) => {
                let state = std::mem::replace(&mut self.state, other.1);
                self.wait(flow, state, why);
                return Flow::Next;
            }
            _ => {
                self.wait(other.0, other.1, why);
                return flow;
            }
        };
        self.join(other.1, why);
        joined
    }

    fn join(&mut self, other: State, why: &Rc<Unknown>) {
        let state = std::mem::take(&mut self.state);
        self.state = state.join(other, why);
    }

    /// Lets a way wait at the end of what it leaves.
    fn wait(&mut self, flow: Flow, state: State, why: &Rc<Unknown>) {
        let (bound, levels, value) = match flow {
            Flow::Break(levels) | Flow::Continue(levels) => (Bound::Loop, levels, Val::Null),
            Flow::Return(value) => (Bound::Body, 1, value),
            Flow::Next | Flow::Value(_) => return,
        };
        let skipped = usize::try_from(levels).unwrap_or(1).saturating_sub(1);
        let mut exits = self
            .exits
            .iter_mut()
            .rev()
            .filter(|exit| exit.bound == bound);
        let Some(exit) = exits.nth(skipped) else {
            return;
        };
        exit.waiting = Some(match exit.waiting.take() {
            Some((other, other_value, why)) => {
                let value = join_values(value, &other_value, &why);
                (state.join(other, &why), value, why)
            }
            None => (state, value, why.clone()),
        });
    }

    /// Keeps a way on which wp-settings.php is reached while others are still followed.
    fn complete(&mut self, state: State, why: &Rc<Unknown>) {
        self.completed = Some(match self.completed.take() {
            Some((other, why)) => (state.join(other, &why), why),
            None => (state, why.clone()),
        });
    }

    /// Joins the ways on which wp-settings.php was reached earlier with how the file ended.
    pub(super) fn finish(&mut self, end: Option<Halt>) -> Option<Halt> {
        let Some((state, why)) = self.completed.take() else {
            return end;
        };
        match end {
            Some(Halt::Endless(_)) => end,
            Some(Halt::Exit(_) | Halt::Thrown(_)) => {
                self.state = state;
                Some(Halt::Settings)
            }
            Some(Halt::Settings) | None => {
                self.join(state, &why);
                Some(Halt::Settings)
            }
        }
    }
}
