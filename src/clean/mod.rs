//! WordPress's text cleaners.
