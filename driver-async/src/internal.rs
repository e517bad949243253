//! The seam through which `motorcade-sync` and the conformance suite reach inside.
