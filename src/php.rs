//! PHP serialization.
