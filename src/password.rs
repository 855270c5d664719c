//! Password hashes as each WordPress release writes them.
