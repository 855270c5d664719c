//! CGI or command.
fn main() {}
