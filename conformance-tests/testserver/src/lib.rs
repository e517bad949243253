//! Starts real `mongod` servers for tests and examples.
