//! What a client tells servers about itself, and the libraries that add to it.

use conformance_tests::behaviour::Deployment;
use conformance_tests::watching_proxy::WatchingProxy;

use super::recorder::Event;
use super::servers::uri_of;
use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::options::DriverInfo;

conformance_tests::behaviours! {
    H1 metadata_of_a_library_is_added_to_that_given_at_first: Standalone, Shared;
    H2 metadata_can_be_added_again_and_again: Standalone, Shared;
    H3 only_metadata_that_is_new_in_some_part_is_added: Standalone, Shared;
    H4 metadata_that_was_added_before_is_not_added_again: Standalone, Shared;
    H5 metadata_that_was_given_at_first_is_not_added_again: Standalone, Shared;
    H6 metadata_given_at_first_is_known_after_other_was_added: Standalone, Shared;
    H7 an_empty_part_counts_as_absent: Standalone, Shared;
    H8 an_empty_part_counts_as_absent_in_what_was_given_at_first: Standalone, Shared;
    H9 every_handshake_names_the_backpressure_that_is_spoken: Standalone, Shared;
    H11 metadata_with_the_delimiter_is_refused_and_changes_nothing: Standalone, Shared;
}

/// A name, version and platform.
type Parts = (&'static str, Option<&'static str>, Option<&'static str>);

const LIBRARY: Parts = ("library", Some("1.2"), Some("Library Platform"));
const FRAMEWORK: Parts = ("framework", Some("2.0"), Some("Framework Platform"));

fn info((name, version, platform): Parts) -> DriverInfo {
    DriverInfo::builder()
        .name(name)
        .version(version.map(str::to_owned))
        .platform(platform.map(str::to_owned))
        .build()
}

/// A client whose handshakes are watched and whose connections grow stale at once.
struct Watched {
    proxy: WatchingProxy,
    subject: Observed,
}

impl Watched {
    fn new(deployment: &Deployment, at_first: Option<Parts>) -> Self {
        let proxy = WatchingProxy::start(deployment.servers().member(0).address())
            .expect("the proxy starts");
        let uri = uri_of(deployment, &[proxy.address()], "maxIdleTimeMS=1");
        let subject = Observed::configured(deployment, &uri, |options| {
            options.driver_info = at_first.map(info);
        });
        Self { proxy, subject }
    }

    fn append(&self, parts: Parts) {
        self.subject
            .client
            .append_metadata(info(parts))
            .expect("can be added");
    }

    /// The metadata that the connection of a new operation carries, and no other connection
    /// since.
    fn next_metadata(&self) -> Document {
        let events = &self.subject.events;
        let count = |is: fn(&Event) -> bool| events.count(is);
        let before = self.proxy.handshakes().len();
        self.subject.ping().expect("pings");
        let created = count(Event::is_connection_created);
        events.wait_for_count("idle connection", created, Event::is_connection_closed);
        let handshakes = self.proxy.handshakes();
        assert!(handshakes.len() > before, "a connection was made");
        let last = handshakes.last().expect("there is one");
        last.get_document("client").expect("has metadata").clone()
    }
}

/// The metadata with these parts added to it.
fn with(mut metadata: Document, (name, version, platform): Parts) -> Document {
    let platform = platform.filter(|platform| !platform.is_empty());
    if let Some(platform) = platform {
        let before = metadata.get_str("platform").expect("is there").to_owned();
        metadata.insert("platform", format!("{before}|{platform}"));
    }
    let driver = metadata.get_document_mut("driver").expect("is there");
    for (key, part) in [("name", name), ("version", version.unwrap_or_default())] {
        let before = driver.get_str(key).expect("is there").to_owned();
        driver.insert(key, format!("{before}|{part}"));
    }
    metadata
}

/// All that is left out of the framework's metadata in turn.
fn frameworks() -> [Parts; 4] {
    let (name, version, platform) = FRAMEWORK;
    [
        FRAMEWORK,
        (name, version, None),
        (name, None, platform),
        (name, None, None),
    ]
}

fn metadata_of_a_library_is_added_to_that_given_at_first(deployment: &Deployment) {
    for framework in frameworks() {
        let watched = Watched::new(deployment, Some(LIBRARY));
        let initial = watched.next_metadata();
        let platform = initial.get_str("platform").expect("is there");
        assert!(platform.ends_with("|Library Platform"), "{platform}");
        let driver = initial.get_document("driver").expect("is there");
        let name = driver.get_str("name").expect("is there");
        assert!(
            name.starts_with("motorcade|") && name.ends_with("|library"),
            "{name}"
        );
        watched.append(framework);
        assert_eq!(watched.next_metadata(), with(initial, framework));
    }
}

fn metadata_can_be_added_again_and_again(deployment: &Deployment) {
    for framework in frameworks() {
        let watched = Watched::new(deployment, None);
        let bare = watched.next_metadata();
        watched.append(LIBRARY);
        let first = watched.next_metadata();
        assert_eq!(first, with(bare, LIBRARY));
        watched.append(framework);
        assert_eq!(watched.next_metadata(), with(first, framework));
    }
}

fn only_metadata_that_is_new_in_some_part_is_added(deployment: &Deployment) {
    for number in 0..8 {
        // Each part is either the library's or the framework's.
        let part = |bit: u8| number & bit != 0;
        let parts = (
            if part(1) { FRAMEWORK.0 } else { LIBRARY.0 },
            if part(2) { FRAMEWORK.1 } else { LIBRARY.1 },
            if part(4) { FRAMEWORK.2 } else { LIBRARY.2 },
        );
        let watched = Watched::new(deployment, None);
        watched.append(LIBRARY);
        let before = watched.next_metadata();
        watched.append(parts);
        let wanted = match parts == LIBRARY {
            true => before,
            false => with(before, parts),
        };
        assert_eq!(watched.next_metadata(), wanted, "{parts:?}");
    }
}

fn metadata_that_was_added_before_is_not_added_again(deployment: &Deployment) {
    let watched = Watched::new(deployment, None);
    watched.append(LIBRARY);
    watched.next_metadata();
    watched.append(FRAMEWORK);
    let both = watched.next_metadata();
    watched.append(LIBRARY);
    assert_eq!(watched.next_metadata(), both);
}

fn metadata_that_was_given_at_first_is_not_added_again(deployment: &Deployment) {
    let watched = Watched::new(deployment, Some(LIBRARY));
    let initial = watched.next_metadata();
    watched.append(LIBRARY);
    assert_eq!(watched.next_metadata(), initial);
}

fn metadata_given_at_first_is_known_after_other_was_added(deployment: &Deployment) {
    let watched = Watched::new(deployment, Some(LIBRARY));
    watched.next_metadata();
    watched.append(("framework", LIBRARY.1, LIBRARY.2));
    let both = watched.next_metadata();
    watched.append(LIBRARY);
    assert_eq!(watched.next_metadata(), both);
}

/// What lacks a part, and the same with an empty one.
const ABSENT_AND_EMPTY: [(Parts, Parts); 2] = [
    (
        ("library", None, Some("Library Platform")),
        ("library", Some(""), Some("Library Platform")),
    ),
    (
        ("library", Some("1.2"), None),
        ("library", Some("1.2"), Some("")),
    ),
];

fn an_empty_part_counts_as_absent(deployment: &Deployment) {
    for (absent, empty) in ABSENT_AND_EMPTY {
        let watched = Watched::new(deployment, None);
        watched.append(absent);
        let before = watched.next_metadata();
        watched.append(empty);
        assert_eq!(watched.next_metadata(), before, "{absent:?}");
    }
}

fn an_empty_part_counts_as_absent_in_what_was_given_at_first(deployment: &Deployment) {
    for (absent, empty) in ABSENT_AND_EMPTY {
        let watched = Watched::new(deployment, Some(absent));
        let initial = watched.next_metadata();
        watched.append(empty);
        assert_eq!(watched.next_metadata(), initial, "{absent:?}");
    }
}

fn every_handshake_names_the_backpressure_that_is_spoken(deployment: &Deployment) {
    let watched = Watched::new(deployment, None);
    watched.next_metadata();
    let handshakes = watched.proxy.handshakes();
    assert!(handshakes.len() >= 2, "a monitor's and an operation's");
    for hello in handshakes {
        assert_eq!(
            hello.get("backpressure"),
            doc! { "it": "2" }.get("it"),
            "{hello}"
        );
    }
}

fn metadata_with_the_delimiter_is_refused_and_changes_nothing(deployment: &Deployment) {
    let watched = Watched::new(deployment, Some(LIBRARY));
    let initial = watched.next_metadata();
    for parts in [
        ("frame|work", FRAMEWORK.1, FRAMEWORK.2),
        (FRAMEWORK.0, Some("2|0"), FRAMEWORK.2),
        (FRAMEWORK.0, FRAMEWORK.1, Some("Framework|Platform")),
    ] {
        let refused = watched.subject.client.append_metadata(info(parts));
        let error = refused.expect_err("has the delimiter");
        assert!(error.to_string().contains("'|'"), "{error}");
        assert_eq!(watched.next_metadata(), initial, "{parts:?}");
    }
}
