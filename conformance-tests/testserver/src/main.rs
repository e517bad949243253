//! Starts a deployment, prints its URI and stops it on Ctrl-C.

fn main() {}
