//! A fast, complete, non-blocking MongoDB driver.
