//! Asking an idle connection whether the network still knows it.

use std::{
    pin::pin,
    sync::{Arc, Weak},
};

use super::{
    Connect, PoolMember,
    attempt::until_interrupted,
    inner::{Inner, Member},
};
use crate::{clock, error::Error};

/// Asks, in a task of the background runtime.
pub(super) fn start<C: Connect>(inner: &Inner<C>, member: Box<Member<C>>) {
    let mut suspect = Suspect {
        pool: inner.weak(),
        member: Some(member),
    };
    if let Ok(background) = inner.background() {
        drop(background.spawn(async move {
            if let Some(member) = &mut suspect.member {
                let interrupt = Arc::clone(member.interrupt());
                let answer = {
                    let verification = pin!(member.connection.verify());
                    until_interrupted(&interrupt, verification).await
                };
                suspect.give_back(answer.unwrap_or_else(|| Err(unverified())).err());
            }
        }));
    }
}

/// A connection that has to answer. It goes back to the pool, if there still is one, also when the
/// task is ended.
struct Suspect<C: Connect> {
    pool: Weak<Inner<C>>,
    member: Option<Box<Member<C>>>,
}

impl<C: Connect> Suspect<C> {
    fn give_back(&mut self, failure: Option<Error>) {
        if let Some((pool, member)) = self.pool.upgrade().zip(self.member.take()) {
            let now = clock::now();
            pool.change(|state| ((), state.verified(member, failure, now)));
        }
    }
}

impl<C: Connect> Drop for Suspect<C> {
    fn drop(&mut self) {
        self.give_back(Some(unverified()));
    }
}

fn unverified() -> Error {
    Error::cancelled("the connection was not verified")
}
