//! Passwords and their hashes for one webhook.

use crate::password::{self, Form};
use crate::plan::User;
use crate::secret::Secret;
use rand::RngExt as _;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use std::cell::{Cell, RefCell};

/// The generated password and the hash of whichever password is used, made once for all attempts; and the user who got
/// them in the last one.
pub(super) struct Credentials {
    pub(super) password: Secret,
    form: Form,
    hashed: RefCell<Option<(Secret, String)>>,
    user: Cell<Option<u64>>,
}

impl Credentials {
    pub(super) fn new(form: Form) -> Credentials {
        let password = Secret::new(password::generate(12, &mut UnwrapErr(SysRng)));
        Credentials {
            password,
            form,
            hashed: RefCell::new(None),
            user: Cell::new(None),
        }
    }

    /// Remembers whose row was written with them.
    pub(super) fn give(&self, user: u64) {
        self.user.set(Some(user));
    }

    /// Whether a row was written with them.
    pub(super) fn are_given(&self) -> bool {
        self.user.get().is_some()
    }

    /// Whether this is the row that was written with them: no two hashes are equal.
    pub(super) fn are_of(&self, user: &User) -> bool {
        let hashed = self.hashed.borrow();
        let is_ours = |(_, hash): &(Secret, String)| hash == user.pass.expose_str();
        self.user.get() == Some(user.id) && hashed.as_ref().is_some_and(is_ours)
    }

    /// The release's form of hashes.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn hash(&self, password: &str) -> String {
        if let Some((_, hash)) = self
            .hashed
            .borrow()
            .as_ref()
            .filter(|(known, _)| known.expose_str() == password)
        {
            return hash.clone();
        }
        let hash = password::hash(password.as_bytes(), self.form, &mut UnwrapErr(SysRng));
        *self.hashed.borrow_mut() = Some((Secret::new(password.to_owned()), hash.clone()));
        hash
    }

    /// A number from 1 to `most`.
    pub(super) fn random(&self, most: u32) -> u32 {
        UnwrapErr(SysRng).random_range(1..=most)
    }
}
