//! The read preference of a connection string.

use std::time::Duration;

use super::{
    invalid,
    values::{Rejection, ignored, parse_number},
};
use crate::{
    error::Result,
    options::{ReadPreference, ReadPreferenceOptions, TagSet},
};

/// The parts of a [`ReadPreference`].
#[derive(Default)]
pub(super) struct ReadsDraft {
    mode: Option<String>,
    is_mode_unknown: bool,
    tag_sets: Vec<TagSet>,
    max_staleness: Option<Duration>,
}

impl ReadsDraft {
    pub(super) fn read_mode(&mut self, value: &str) -> std::result::Result<(), Rejection> {
        self.is_mode_unknown = ReadPreference::from_mode(value, None).is_err();
        if self.is_mode_unknown {
            return ignored(
                "write primary, primaryPreferred, secondary, secondaryPreferred or nearest",
            );
        }
        self.mode = Some(value.to_owned());
        Ok(())
    }

    /// Reads one tag set, such as `dc:ny,rack:1`; the empty one fits every member.
    pub(super) fn read_tags(&mut self, value: &str) -> std::result::Result<(), Rejection> {
        let mut tags = TagSet::new();
        for pair in value.split(',').filter(|_| !value.is_empty()) {
            match pair.split_once(':') {
                Some((name, tag)) if !name.is_empty() => {
                    tags.insert(name.to_owned(), tag.to_owned());
                }
                _ => return ignored("write name:value pairs with commas between"),
            }
        }
        self.tag_sets.push(tags);
        Ok(())
    }

    /// Reads a number of seconds; -1 stands for no limit. Whether it is long enough is for server
    /// selection to say, which knows the heartbeat frequency and the members.
    pub(super) fn read_max_staleness(&mut self, value: &str) -> std::result::Result<(), Rejection> {
        let seconds = parse_number(value, -1, i64::from(i32::MAX))?;
        self.max_staleness = u64::try_from(seconds).ok().map(Duration::from_secs);
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<Option<ReadPreference>> {
        let options = ReadPreferenceOptions {
            tag_sets: Some(self.tag_sets.clone()).filter(|sets| !sets.is_empty()),
            max_staleness: self.max_staleness,
            ..Default::default()
        };
        let has_options = options != ReadPreferenceOptions::default();
        let mode = match self.mode.as_deref() {
            Some(mode) => mode,
            // What belongs to a mode that was ignored is ignored with it.
            None if self.is_mode_unknown || !has_options => return Ok(None),
            None => "primary",
        };
        ReadPreference::from_mode(mode, Some(options).filter(|_| has_options))
            .map(|preference| (self.mode.is_some()).then_some(preference))
            .map_err(invalid)
    }
}
