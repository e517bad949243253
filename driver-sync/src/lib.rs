//! The blocking twin of the `motorcade` MongoDB driver.
