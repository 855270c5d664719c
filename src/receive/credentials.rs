//! Passwords and their hashes for one webhook.

use crate::password::{self, Form};
use crate::secret::Secret;
use rand::RngExt as _;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use std::cell::RefCell;

/// The generated password and the hash of whichever password is used, made once for all attempts.
pub(super) struct Credentials {
    pub(super) password: Secret,
    form: Form,
    hashed: RefCell<Option<(Secret, String)>>,
}

impl Credentials {
    pub(super) fn new(form: Form) -> Credentials {
        let password = Secret::new(password::generate(12, &mut UnwrapErr(SysRng)));
        Credentials {
            password,
            form,
            hashed: RefCell::new(None),
        }
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
