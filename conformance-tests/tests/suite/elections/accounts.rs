//! Amounts that move between accounts, each move a transaction.

use std::collections::BTreeMap;

use super::writers::{everything, id};
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::Result;
use crate::flavor::driver::{Client, Collection, Database};
use crate::flavor::{go, run_in_transaction};

const ACCOUNTS: i32 = 10;
const OPENING_BALANCE: i32 = 1_000;

/// Accounts, and a record of each transfer between two of them.
pub(super) struct Accounts {
    client: Client,
    balances: Collection<Document>,
    transfers: Collection<Document>,
}

impl Accounts {
    pub(super) fn open(client: &Client, database: &Database) -> Self {
        let accounts = Self {
            client: client.clone(),
            balances: database.collection("balances"),
            transfers: database.collection("transfers"),
        };
        let opening = (0..ACCOUNTS).map(|id| doc! { "_id": id, "balance": OPENING_BALANCE });
        go!(accounts.balances.insert_many(opening)).expect("inserts");
        go!(database.create_collection("transfers")).expect("creates");
        accounts
    }

    /// Moves an amount from one account to another, and records it.
    pub(super) fn transfer(&self, teller: usize, turn: i32) -> Result<()> {
        let teller = id(teller);
        let from = (teller * 3 + turn) % ACCOUNTS;
        let to = (from + 1 + turn % (ACCOUNTS - 1)) % ACCOUNTS;
        let amount = 1 + turn % 7;
        let add = |amount: i32| doc! { "$inc": { "balance": amount } };
        let mut session = go!(self.client.start_session())?;
        run_in_transaction!(session.start_transaction(), |session| {
            let record = doc! {
                "teller": teller, "turn": turn, "from": from, "to": to, "amount": amount,
            };
            let taken = self.balances.update_one(doc! { "_id": from }, add(-amount));
            go!(taken.session(&mut *session))?;
            go!(self.transfers.insert_one(record).session(&mut *session))?;
            let given = self.balances.update_one(doc! { "_id": to }, add(amount));
            go!(given.session(session)).map(drop)
        })
    }

    /// Checks that each of the first `done` transfers of each teller is there once and as a whole,
    /// and no other is.
    pub(super) fn check(&self, done: &[usize]) {
        let mut balances: BTreeMap<i32, i32> =
            (0..ACCOUNTS).map(|id| (id, OPENING_BALANCE)).collect();
        let mut turns = vec![Vec::new(); done.len()];
        for record in everything(&self.transfers) {
            let number = |key| record.get_i32(key).expect("is a number");
            let amount = number("amount");
            *balances.entry(number("from")).or_default() -= amount;
            *balances.entry(number("to")).or_default() += amount;
            turns[usize::try_from(number("teller")).expect("is a teller")].push(number("turn"));
        }
        for (teller, (turns, done)) in turns.iter_mut().zip(done).enumerate() {
            turns.sort_unstable();
            let wanted: Vec<_> = (0..id(*done)).collect();
            assert!(
                *turns == wanted,
                "teller {teller} recorded {turns:?} in {done} turns"
            );
        }
        let found: BTreeMap<i32, i32> = everything(&self.balances)
            .iter()
            .map(|it| (it.get_i32("_id"), it.get_i32("balance")))
            .map(|(id, balance)| (id.expect("has an id"), balance.expect("has a balance")))
            .collect();
        assert_eq!(found, balances, "balances and the record of transfers");
        assert_eq!(found.values().sum::<i32>(), ACCOUNTS * OPENING_BALANCE);
    }
}
