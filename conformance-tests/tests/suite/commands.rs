//! What goes into commands, and what listeners are told of them.

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{secured, secured_uri};
use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::event::command::{CommandEvent, CommandStartedEvent};
use crate::flavor::driver::options::{ReadConcern, ReadPreference, SelectionCriteria};
use crate::flavor::{collect, go};

conformance_tests::behaviours! {
    R86 a_read_concern_is_absent_unless_set: Either, Shared;
    R86 a_read_concern_is_sent_for_find_and_aggregate_with_out: Either, Shared;
    R87 get_more_carries_no_read_concern_or_preference: Either, Shared;
    R88 sensitive_commands_are_told_without_content: Either, Shared;
    R88 a_login_is_not_told_to_listeners: Standalone, Shared;
}

fn level(command: &CommandStartedEvent) -> Option<&str> {
    let concern = command.command.get_document("readConcern").ok()?;
    concern.get_str("level").ok()
}

fn a_read_concern_is_absent_unless_set(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    go!(people.find_one(doc! {})).expect("finds");
    collect!(go!(people.aggregate([doc! { "$match": {} }])).expect("aggregates")).expect("goes on");
    go!(people.count_documents(doc! {})).expect("counts");
    go!(people.distinct("_id", doc! {})).expect("lists");
    for command in subject.events.commands() {
        assert_eq!(level(&command), None, "{}", command.command_name);
    }
    deployment.observe(subject.events.command_names());
}

fn a_read_concern_is_sent_for_find_and_aggregate_with_out(deployment: &Deployment) {
    let subject = Observed::new(deployment, "readConcernLevel=local").with_people(2);
    let people = subject.people();
    go!(people.find_one(doc! {})).expect("finds");
    collect!(go!(people.aggregate([doc! { "$out": "copy" }])).expect("aggregates")).expect("ends");
    let available = ReadConcern::available();
    go!(people.find_one(doc! {}).read_concern(available)).expect("finds");
    let levels: Vec<_> = subject
        .events
        .commands()
        .iter()
        .map(|command| {
            (
                command.command_name.clone(),
                level(command).map(str::to_owned),
            )
        })
        .collect();
    let expected = [
        ("insert", None),
        ("find", Some("local")),
        ("aggregate", Some("local")),
        ("find", Some("available")),
    ];
    assert_eq!(
        levels,
        expected.map(|(name, level)| (name.to_owned(), level.map(str::to_owned)))
    );
    let copy = subject.database().collection::<Document>("copy");
    assert_eq!(go!(copy.count_documents(doc! {})).expect("counts"), 2);
}

fn get_more_carries_no_read_concern_or_preference(deployment: &Deployment) {
    let subject = Observed::new(deployment, "w=majority&readConcernLevel=majority").with_people(5);
    let anywhere = SelectionCriteria::ReadPreference(ReadPreference::primary_preferred(None));
    let people = subject.people();
    let find = people
        .find(doc! {})
        .batch_size(2)
        .selection_criteria(anywhere);
    let all: Vec<Document> = collect!(go!(find).expect("finds")).expect("goes on");
    assert_eq!(all.len(), 5);
    let more = subject.events.commands_named("getMore");
    assert_eq!(more.len(), 2);
    for command in more {
        assert!(
            !command.command.contains_key("readConcern"),
            "{}",
            command.command
        );
        assert!(
            !command.command.contains_key("$readPreference"),
            "{}",
            command.command
        );
    }
}

fn sensitive_commands_are_told_without_content(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let create = doc! { "createUser": "ada", "pwd": "hunter2", "roles": [] };
    go!(subject.database().run_command(create)).expect("creates a user");
    let told = subject.events.events();
    assert!(!format!("{told:?}").contains("hunter2"));
    let started = subject.events.commands_named("createUser").remove(0);
    assert_eq!(started.command, doc! {});
    let is_empty_success = |event: &Event| {
        matches!(event, Event::Command(event) if matches!(&**event,
            CommandEvent::Succeeded(done) if done.command_name == "createUser" && done.reply.is_empty()))
    };
    assert_eq!(subject.events.count(is_empty_success), 1);
    go!(subject.database().run_command(doc! { "dropUser": "ada" })).expect("drops the user");
}

fn a_login_is_not_told_to_listeners(deployment: &Deployment) {
    assert!(secured().credentials().is_some());
    let subject = Observed::at(deployment, &secured_uri(deployment, "root:secret", ""));
    subject.ping().expect("pings");
    assert_eq!(subject.events.command_names(), "ping");
    let told = format!("{:?}", subject.events.events());
    assert!(!told.contains("speculativeAuthenticate"), "{told}");
}
