//! Whether a change stream goes on after a failure, and from where.
//!
//! Follows the change streams specification.

use std::time::Duration;

use bson::{RawBson, RawDocument, Timestamp};

use crate::{
    error::{Error, ErrorKind, RESUMABLE_CHANGE_STREAM_ERROR, Result},
    options::{ChangeStreamOptions, ResumeToken},
    proto::{cursor::Batch, wire::fields},
};

/// The wire version of MongoDB 4.4, from which on servers label the errors that can be got past.
const LABELS_ERRORS: i32 = 9;
const CURSOR_NOT_FOUND: i32 = 43;
/// The errors that older servers can be got past.
const RESUMABLE: [i32; 17] = [
    6, 7, 63, 89, 91, 133, 150, 189, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436,
];

/// Whether a stream can be resumed after this error of a `getMore`. `max_wire_version` is that of
/// the connection that the command went over.
pub(crate) fn is_resumable(error: &Error, max_wire_version: Option<i32>) -> bool {
    if !error.is_server_error() {
        // These say that the driver or its caller does something wrong, which would only be
        // repeated. A reply that cannot be read is resumed after like a broken connection.
        return !matches!(
            *error.kind,
            ErrorKind::Shutdown | ErrorKind::InvalidArgument { .. } | ErrorKind::Internal { .. }
        );
    }
    match (error.code(), max_wire_version) {
        (Some(CURSOR_NOT_FOUND), _) => true,
        (Some(code), Some(version)) if version < LABELS_ERRORS => RESUMABLE.contains(&code),
        _ => error.contains_label(RESUMABLE_CHANGE_STREAM_ERROR),
    }
}

/// How often a stream is opened again before it gets on.
///
/// The specification asks for one attempt after each error, and for several in a row to work. A
/// server that opens every stream and then fails every request would be asked forever.
const MOST_IN_A_ROW: u32 = 5;
/// The most to wait before the second attempt in a row; twice as much before each further one.
const BACKOFF: Duration = Duration::from_millis(100);

/// The times that a stream was opened again since it last got on.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    in_a_row: u32,
}

impl Attempts {
    /// How long to wait before the stream is opened again; `None` when it should fail instead.
    /// `jitter` is a random number from 0 to 1.
    pub(crate) fn next(&mut self, jitter: f64) -> Option<Duration> {
        if self.in_a_row == MOST_IN_A_ROW {
            return None;
        }
        let wait = match self.in_a_row.checked_sub(1) {
            Some(doublings) => BACKOFF * 2_u32.pow(doublings),
            None => Duration::ZERO,
        };
        self.in_a_row += 1;
        Some(wait.mul_f64(jitter))
    }

    /// Notes that a request was answered or an event given.
    pub(crate) fn got_on(&mut self) {
        self.in_a_row = 0;
    }
}

/// Where a stream that is opened again begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    /// After a place, which may be that of an invalidation.
    After(ResumeToken),
    /// After a place within the stream.
    ResumeAfter(ResumeToken),
    /// At a moment.
    At(Timestamp),
    /// Where it first began: nothing is known of any place.
    Anew,
}

/// How far a stream has come, as far as its user knows.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    token: Option<ResumeToken>,
    /// Whether the stream was opened with `start_after` and no event was given yet.
    is_before_first_after: bool,
    /// Until there is a token: the moment that the stream began at.
    began_at: Option<Timestamp>,
}

impl Progress {
    pub(crate) fn new(options: &ChangeStreamOptions) -> Self {
        let token = options
            .start_after
            .as_ref()
            .or(options.resume_after.as_ref());
        Self {
            token: token.cloned(),
            is_before_first_after: options.start_after.is_some(),
            began_at: options.start_at_operation_time,
        }
    }

    /// The place after which the stream would be resumed.
    pub(crate) fn token(&self) -> Option<&ResumeToken> {
        self.token.as_ref()
    }

    /// Where the stream begins when it is opened again.
    ///
    /// Every server that the driver works with has `startAtOperationTime` (wire version 7).
    pub(crate) fn start(&self) -> Start {
        match (&self.token, self.began_at) {
            (Some(token), _) if self.is_before_first_after => Start::After(token.clone()),
            (Some(token), _) => Start::ResumeAfter(token.clone()),
            (None, Some(time)) => Start::At(time),
            (None, None) => Start::Anew,
        }
    }

    /// Takes in a reply before any of its events was given.
    ///
    /// # Errors
    /// A BSON error for a token that is none.
    pub(crate) fn received(&mut self, batch: &Batch) -> Result<()> {
        if !batch.is_drained() {
            return Ok(());
        }
        if let Some(token) = post_batch_token(batch)? {
            self.token = Some(token);
        } else if self.token.is_none() && self.began_at.is_none() {
            let time = fields(batch.reply()).find(|field| field.key == b"operationTime");
            self.began_at = time.and_then(|time| time.timestamp());
        }
        Ok(())
    }

    /// Notes that the current event of a batch is given.
    ///
    /// # Errors
    /// A missing-resume-token error for an event without `_id`.
    pub(crate) fn gives_current_of(&mut self, batch: &Batch) -> Result<()> {
        let id = batch.current().map(token_of).transpose()?.flatten();
        let Some(id) = id else {
            return Err(ErrorKind::MissingResumeToken.into());
        };
        let post_batch = match batch.is_drained() {
            true => post_batch_token(batch)?,
            false => None,
        };
        self.token = Some(post_batch.unwrap_or(id));
        self.is_before_first_after = false;
        Ok(())
    }
}

fn token_of(event: &RawDocument) -> Result<Option<ResumeToken>> {
    token_in(event, "_id")
}

fn post_batch_token(batch: &Batch) -> Result<Option<ResumeToken>> {
    let cursor = fields(batch.reply()).find(|field| field.key == b"cursor");
    match cursor.and_then(|cursor| cursor.document()) {
        Some(cursor) => token_in(cursor, "postBatchResumeToken"),
        None => Ok(None),
    }
}

fn token_in(document: &RawDocument, name: &str) -> Result<Option<ResumeToken>> {
    let Some(field) = fields(document).find(|field| field.key == name.as_bytes()) else {
        return Ok(None);
    };
    let value = match field.document() {
        Some(token) => Some(RawBson::Document(token.to_owned())),
        None => document.get(name)?.map(RawBson::from),
    };
    Ok(value.map(ResumeToken))
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc, rawdoc};
    use bytes::Bytes;

    use super::*;
    use crate::{error::CommandError, proto::cursor::CursorReply};

    fn token(data: &str) -> ResumeToken {
        ResumeToken(RawBson::Document(rawdoc! { "_data": data }))
    }

    fn batch(ids: &[&str], post_batch: Option<&str>) -> Batch {
        let events: Vec<_> = ids
            .iter()
            .map(|id| doc! { "_id": { "_data": id } })
            .collect();
        let mut cursor = doc! { "id": 1_i64, "ns": "d.c", "nextBatch": events };
        if let Some(data) = post_batch {
            cursor.insert("postBatchResumeToken", doc! { "_data": data });
        }
        let time = Timestamp {
            time: 7,
            increment: 1,
        };
        reply(&doc! { "cursor": cursor, "operationTime": time })
    }

    fn reply(reply: &Document) -> Batch {
        let bytes: Bytes = reply.to_vec().unwrap().into();
        CursorReply::parse(&bytes).unwrap().batch
    }

    fn opened(options: &ChangeStreamOptions, first: &Batch) -> Progress {
        let mut progress = Progress::new(options);
        progress.received(first).unwrap();
        progress
    }

    #[test]
    fn an_empty_batch_moves_on_to_its_own_token_and_a_full_one_does_not() {
        let mut progress = opened(&ChangeStreamOptions::default(), &batch(&[], Some("p")));
        assert_eq!(progress.token(), Some(&token("p")));
        progress.received(&batch(&["a"], Some("q"))).unwrap();
        assert_eq!(progress.start(), Start::ResumeAfter(token("p")));
        progress.received(&batch(&[], None)).unwrap();
        assert_eq!(progress.token(), Some(&token("p")));
    }

    #[test]
    fn the_last_event_of_a_batch_moves_on_to_the_batchs_token() {
        for (post_batch, last) in [(Some("p"), "p"), (None, "b")] {
            let mut progress = Progress::new(&ChangeStreamOptions::default());
            let mut batch = batch(&["a", "b"], post_batch);
            progress.received(&batch).unwrap();
            assert_eq!(progress.token(), None, "nothing was given yet");
            for wanted in ["a", last] {
                assert!(batch.advance().unwrap());
                progress.gives_current_of(&batch).unwrap();
                assert_eq!(progress.token(), Some(&token(wanted)));
            }
        }
    }

    #[test]
    fn start_after_is_used_until_an_event_was_given() {
        let options = ChangeStreamOptions::builder()
            .start_after(token("s"))
            .build();
        let mut first = batch(&["a", "b"], Some("p"));
        let mut progress = opened(&options, &first);
        assert_eq!(progress.start(), Start::After(token("s")));
        progress.received(&batch(&[], Some("q"))).unwrap();
        assert_eq!(progress.start(), Start::After(token("q")));
        assert!(first.advance().unwrap());
        progress.gives_current_of(&first).unwrap();
        assert_eq!(progress.start(), Start::ResumeAfter(token("a")));
        let options = ChangeStreamOptions::builder()
            .resume_after(token("r"))
            .build();
        assert_eq!(
            Progress::new(&options).start(),
            Start::ResumeAfter(token("r"))
        );
    }

    #[test]
    fn without_a_token_a_stream_begins_again_at_the_moment_it_began() {
        let at = Timestamp {
            time: 3,
            increment: 0,
        };
        let given = ChangeStreamOptions::builder()
            .start_at_operation_time(at)
            .build();
        let none = ChangeStreamOptions::default();
        let replied = Timestamp {
            time: 7,
            increment: 1,
        };
        let empty = batch(&[], None);
        assert_eq!(opened(&given, &empty).start(), Start::At(at));
        assert_eq!(opened(&none, &empty).start(), Start::At(replied));
        assert_eq!(opened(&none, &batch(&["a"], None)).start(), Start::Anew);
        let tokened = batch(&[], Some("p"));
        assert_eq!(
            opened(&given, &tokened).start(),
            Start::ResumeAfter(token("p"))
        );
    }

    #[test]
    fn an_event_without_an_id_is_an_error() {
        let cursor =
            doc! { "id": 1_i64, "ns": "d.c", "nextBatch": [{ "operationType": "insert" }] };
        let mut batch = reply(&doc! { "cursor": cursor });
        assert!(batch.advance().unwrap());
        let mut progress = Progress::new(&ChangeStreamOptions::default());
        let error = progress.gives_current_of(&batch).unwrap_err();
        assert!(matches!(*error.kind, ErrorKind::MissingResumeToken));
    }

    #[test]
    fn servers_say_by_label_or_by_code_what_can_be_got_past() {
        let refused = |code: i32| -> Error {
            let reply = rawdoc! { "ok": 0, "code": code };
            ErrorKind::Command(CommandError::from_reply(&reply)).into()
        };
        let labelled = |code| refused(code).with_label(RESUMABLE_CHANGE_STREAM_ERROR);
        for (error, version, resumable) in [
            (refused(43), Some(17), true),
            (refused(43), Some(8), true),
            (refused(6), Some(17), false),
            (refused(6), Some(8), true),
            (labelled(8000), Some(9), true),
            (labelled(8000), Some(8), false),
            (refused(237), Some(8), false),
            (refused(136), Some(17), false),
            (Error::timeout("t"), None, true),
            (
                std::io::Error::from(std::io::ErrorKind::ConnectionReset).into(),
                Some(17),
                true,
            ),
            (Error::shutdown(), None, false),
            (Error::invalid_response("r"), Some(17), true),
            (Error::invalid_argument("a"), Some(17), false),
        ] {
            assert_eq!(
                is_resumable(&error, version),
                resumable,
                "{error} of {version:?}"
            );
        }
    }

    #[test]
    fn a_stream_that_never_gets_on_is_opened_again_after_longer_waits_and_then_no_more() {
        let mut attempts = Attempts::default();
        let waits = std::iter::from_fn(|| attempts.next(1.0));
        let waits: Vec<_> = waits.map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800]);
        attempts.got_on();
        assert_eq!(attempts.next(0.5), Some(Duration::ZERO));
        assert_eq!(attempts.next(0.5), Some(Duration::from_millis(50)));
    }
}
