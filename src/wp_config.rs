//! Settings out of wp-config.php.
