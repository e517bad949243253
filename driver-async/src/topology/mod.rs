//! The deployment as it is now, and the tasks that watch it.
