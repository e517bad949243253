//! The client metadata that a driver sends once on every connection.

use bson::{RawDocument, RawDocumentBuf};

use crate::{
    error::{Error, Result},
    proto::{
        hello::{Environment, OperatingSystem},
        wire::DocumentWriter,
    },
};

const DRIVER_NAME: &str = "motorcade";
const DRIVER_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The longest `client` document that servers accept, in bytes.
const LIMIT: usize = 512;
const APP_NAME_LIMIT: usize = 128;
/// Stands between the driver's words and those of each library that wraps it.
const DELIMITER: char = '|';

/// The client metadata, as the handshake specification defines its `client` document.
///
/// The document is made anew when a library appends to it and not for every connection.
#[derive(Clone, Debug)]
pub struct ClientMetadata {
    app_name: Option<String>,
    platform: &'static str,
    os: OperatingSystem,
    environment: Environment,
    wrappers: Vec<Wrapper>,
    document: RawDocumentBuf,
}

/// What a library that wraps the driver says about itself; empty text stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wrapper {
    name: String,
    version: String,
    platform: String,
}

/// How much is left out to keep within the limit, each step more than the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    Nothing,
    EnvironmentDetails,
    Agent,
    OsDetails,
    Environment,
}

impl ClientMetadata {
    /// Metadata of a client that nothing wraps yet; `platform` names what the driver runs on.
    ///
    /// # Errors
    /// An invalid-argument error when the application's name is longer than 128 bytes.
    pub fn new(
        app_name: Option<&str>,
        platform: &'static str,
        os: OperatingSystem,
        environment: Environment,
    ) -> Result<Self> {
        if let Some(length) = app_name
            .map(str::len)
            .filter(|length| *length > APP_NAME_LIMIT)
        {
            return Err(Error::invalid_argument(format!(
                "the application name has {length} bytes; shorten it to {APP_NAME_LIMIT} or fewer"
            )));
        }
        let mut metadata = Self {
            app_name: app_name.filter(|name| !name.is_empty()).map(str::to_owned),
            platform,
            os,
            environment,
            wrappers: Vec::new(),
            document: RawDocumentBuf::new(),
        };
        metadata.document = metadata.fitting_document()?;
        Ok(metadata)
    }

    /// Adds the words of a library that wraps the driver, for connections made from now on.
    ///
    /// Empty text counts as absent. What was added before, each part alike, is not added again.
    ///
    /// # Errors
    /// An invalid-argument error, the metadata being unchanged, when a part contains `|` or when
    /// the names and versions no longer fit into the 512 bytes that servers accept.
    pub fn append(
        &mut self,
        name: Option<&str>,
        version: Option<&str>,
        platform: Option<&str>,
    ) -> Result<()> {
        let wrapper = Wrapper {
            name: checked("name", name)?,
            version: checked("version", version)?,
            platform: checked("platform", platform)?,
        };
        if self.wrappers.contains(&wrapper) {
            return Ok(());
        }
        self.wrappers.push(wrapper);
        match self.fitting_document() {
            Ok(document) => self.document = document,
            Err(error) => {
                self.wrappers.pop();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Where the program runs.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The `client` document.
    pub fn document(&self) -> &RawDocument {
        &self.document
    }

    /// The fullest document within the limit, cut in the order that the specification gives.
    fn fitting_document(&self) -> Result<RawDocumentBuf> {
        let mut platform = self.platform();
        for cut in [
            Cut::Nothing,
            Cut::EnvironmentDetails,
            Cut::Agent,
            Cut::OsDetails,
        ] {
            let document = self.write(cut, &platform)?;
            if document.as_bytes().len() <= LIMIT {
                return Ok(document);
            }
        }
        loop {
            let document = self.write(Cut::Environment, &platform)?;
            let Some(excess) = document
                .as_bytes()
                .len()
                .checked_sub(LIMIT)
                .filter(|e| *e > 0)
            else {
                return Ok(document);
            };
            if platform.is_empty() {
                return Err(Error::invalid_argument(format!(
                    "the names and versions in the client metadata are {excess} bytes too long; \
                     shorten those of the libraries that wrap the driver"
                )));
            }
            let kept = platform.floor_char_boundary(platform.len().saturating_sub(excess));
            platform.truncate(kept);
        }
    }

    fn write(&self, cut: Cut, platform: &str) -> Result<RawDocumentBuf> {
        let mut bytes = Vec::with_capacity(LIMIT);
        let mut client = DocumentWriter::begin(&mut bytes);
        if let Some(name) = &self.app_name {
            client.append_document_with("application", |it| it.append_str("name", name))?;
        }
        client.append_document_with("driver", |driver| {
            driver.append_str("name", &self.joined(DRIVER_NAME, |wrapper| &wrapper.name))?;
            driver.append_str(
                "version",
                &self.joined(DRIVER_VERSION, |wrapper| &wrapper.version),
            )
        })?;
        client.append_document_with("os", |os| {
            if cut < Cut::OsDetails {
                self.os.write(os)
            } else {
                self.os.write_kind(os)
            }
        })?;
        if !platform.is_empty() {
            client.append_str("platform", platform)?;
        }
        if cut == Cut::Nothing {
            if let Some(env) = self.environment.document()? {
                client.append_raw_document("env", &env)?;
            }
        } else {
            self.write_short_environment(cut, &mut client)?;
        }
        client.end()?;
        Ok(RawDocumentBuf::from_bytes(bytes)?)
    }

    fn write_short_environment(&self, cut: Cut, client: &mut DocumentWriter<'_>) -> Result<()> {
        let agent = self.environment.agent().filter(|_| cut < Cut::Agent);
        let name = self.environment.name().filter(|_| cut < Cut::Environment);
        if agent.is_none() && name.is_none() {
            return Ok(());
        }
        client.append_document_with("env", |env| {
            if let Some(agent) = agent {
                env.append_str("agent", agent)?;
            }
            name.map_or(Ok(()), |name| env.append_str("name", name))
        })
    }

    /// One entry for the driver and each wrapper, empty ones too, so that the entries of the
    /// driver's name and version can be matched by their places.
    fn joined(&self, own: &str, part: impl Fn(&Wrapper) -> &str) -> String {
        let mut text = own.to_owned();
        for wrapper in &self.wrappers {
            text.push(DELIMITER);
            text.push_str(part(wrapper));
        }
        text
    }

    fn platform(&self) -> String {
        let mut text = self.platform.to_owned();
        for wrapper in self
            .wrappers
            .iter()
            .filter(|wrapper| !wrapper.platform.is_empty())
        {
            text.push(DELIMITER);
            text.push_str(&wrapper.platform);
        }
        text
    }
}

fn checked(part: &str, text: Option<&str>) -> Result<String> {
    let text = text.unwrap_or_default();
    if text.contains(DELIMITER) {
        return Err(Error::invalid_argument(format!(
            "the {part} of a wrapping library contains {DELIMITER:?}, which separates the parts of \
             the client metadata; remove it"
        )));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use bson::Document;

    use super::*;

    const PLATFORM: &str = "Rust";

    fn lambda(region: &str) -> Environment {
        let region = region.to_owned();
        let variable = move |name: &str| match name {
            "AWS_LAMBDA_RUNTIME_API" => Some("x".to_owned()),
            "AWS_REGION" => Some(region.clone()),
            _ => None,
        };
        Environment::detect(&variable, true)
    }

    fn linux() -> OperatingSystem {
        OperatingSystem {
            kind: "Linux".into(),
            name: Some("Debian".into()),
            architecture: Some("x86_64".into()),
            version: Some("13".into()),
        }
    }

    fn metadata() -> ClientMetadata {
        ClientMetadata::new(Some("app"), PLATFORM, linux(), lambda("r")).unwrap()
    }

    fn shown(metadata: &ClientMetadata) -> Document {
        assert!(
            metadata.document().as_bytes().len() <= 512,
            "{:?}",
            metadata.document()
        );
        Document::try_from(metadata.document()).unwrap()
    }

    fn driver(metadata: &ClientMetadata) -> (String, String) {
        let driver = shown(metadata).get_document("driver").unwrap().clone();
        let own = |key, own: &str| {
            driver
                .get_str(key)
                .unwrap()
                .strip_prefix(own)
                .unwrap()
                .to_owned()
        };
        (own("name", "motorcade"), own("version", DRIVER_VERSION))
    }

    fn platform(metadata: &ClientMetadata) -> String {
        let platform = shown(metadata).get_str("platform").unwrap().to_owned();
        platform.strip_prefix(PLATFORM).unwrap().to_owned()
    }

    #[test]
    fn the_document_tells_all_when_it_is_small() {
        let mut wanted = bson::doc! {
            "application": { "name": "app" },
            "driver": { "name": "motorcade", "version": DRIVER_VERSION },
            "os": { "type": "Linux", "name": "Debian", "architecture": "x86_64", "version": "13" },
            "platform": PLATFORM,
            "env": { "name": "aws.lambda", "region": "r", "container": { "runtime": "docker" } },
        };
        assert_eq!(shown(&metadata()), wanted);
        let bare = ClientMetadata::new(
            None,
            PLATFORM,
            OperatingSystem::default(),
            Environment::default(),
        );
        wanted.remove("application");
        wanted.remove("env");
        wanted.insert("os", bson::doc! { "type": "unknown" });
        assert_eq!(shown(&bare.unwrap()), wanted);
    }

    #[test]
    fn an_application_name_has_at_most_128_bytes() {
        let made =
            |name: &str| ClientMetadata::new(Some(name), PLATFORM, linux(), Environment::default());
        assert!(made(&"é".repeat(64)).is_ok());
        assert!(made(&"a".repeat(129)).is_err());
    }

    #[test]
    fn the_details_of_the_environment_are_cut_first() {
        let long = ClientMetadata::new(None, PLATFORM, linux(), lambda(&"a".repeat(512))).unwrap();
        let long = shown(&long);
        assert_eq!(
            long.get_document("env").unwrap(),
            &bson::doc! { "name": "aws.lambda" }
        );
        assert!(long.get_document("os").unwrap().contains_key("name"));
    }

    #[test]
    fn the_agent_is_cut_after_other_details_of_the_environment() {
        let detected = |region: String| {
            let variable = move |name: &str| match name {
                "AWS_LAMBDA_RUNTIME_API" | "CLAUDECODE" => Some("x".to_owned()),
                "AWS_REGION" => Some(region.clone()),
                _ => None,
            };
            Environment::detect(&variable, true)
        };
        let made = |region: usize, os: usize| {
            let os = OperatingSystem {
                name: Some("a".repeat(os)),
                ..linux()
            };
            let environment = detected("a".repeat(region));
            shown(&ClientMetadata::new(None, PLATFORM, os, environment).unwrap())
        };
        let env = |shown: &Document| shown.get_document("env").unwrap().clone();
        assert_eq!(
            env(&made(512, 1)),
            bson::doc! { "agent": "claude_code", "name": "aws.lambda" }
        );
        let without_agent = (0..LIMIT)
            .map(|os| made(1, os))
            .find(|shown| !env(shown).contains_key("agent"))
            .unwrap();
        assert_eq!(env(&without_agent), bson::doc! { "name": "aws.lambda" });
        let os = without_agent.get_document("os").unwrap();
        assert!(os.contains_key("name"), "{os}");
    }

    #[test]
    fn the_details_of_the_operating_system_are_cut_next() {
        let os = OperatingSystem {
            name: Some("a".repeat(512)),
            ..linux()
        };
        let long = shown(&ClientMetadata::new(None, PLATFORM, os, lambda("r")).unwrap());
        assert_eq!(
            long.get_document("os").unwrap(),
            &bson::doc! { "type": "Linux" }
        );
        assert_eq!(
            long.get_document("env").unwrap(),
            &bson::doc! { "name": "aws.lambda" }
        );
    }

    #[test]
    fn the_environment_goes_next_and_the_platform_is_cut_last() {
        let mut metadata = metadata();
        let used = {
            let short = metadata
                .write(Cut::Environment, &metadata.platform())
                .unwrap();
            short.as_bytes().len()
        };
        // Three delimiters more, and the end of the platform is what fills the last byte.
        let room = LIMIT - used - 3;
        metadata
            .append(None, None, Some(&"p".repeat(room)))
            .unwrap();
        let full = shown(&metadata);
        assert!(!full.contains_key("env"), "{full}");
        assert_eq!(metadata.document().as_bytes().len(), LIMIT);
        assert_eq!(platform(&metadata).len(), room + 1);

        metadata.append(None, None, Some("é")).unwrap();
        assert!(metadata.document().as_bytes().len() <= LIMIT);
        assert!(shown(&metadata).get_str("platform").unwrap().ends_with('p'));
    }

    #[test]
    fn names_that_cannot_fit_are_refused_and_change_nothing() {
        let mut metadata = metadata();
        let before = shown(&metadata);
        let error = metadata
            .append(Some(&"n".repeat(500)), None, None)
            .unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
        assert_eq!(shown(&metadata), before);
        metadata.append(Some("library"), None, None).unwrap();
        assert_eq!(driver(&metadata).0, "|library");
    }

    #[test]
    fn each_appended_library_has_one_entry_in_name_and_version() {
        type Entry<'a> = (Option<&'a str>, Option<&'a str>);
        let cases: [(&[Entry<'_>], &str, &str); 10] = [
            (&[(None, None), (Some("F2"), None)], "||F2", "||"),
            (
                &[(Some("F1"), None), (Some("F2"), Some("2.0"))],
                "|F1|F2",
                "||2.0",
            ),
            (&[(Some("F1"), None)], "|F1", "|"),
            (&[(Some("motorcade"), Some("1.0"))], "|motorcade", "|1.0"),
            (
                &[(Some("F1"), Some("1.0")), (Some("F1"), Some("1.0"))],
                "|F1",
                "|1.0",
            ),
            (&[(Some("F1"), None), (Some("F2"), None)], "|F1|F2", "||"),
            (
                &[(None, Some("1.0")), (None, Some("2.0"))],
                "||",
                "|1.0|2.0",
            ),
            (
                &[
                    (Some("F1"), Some("1.0")),
                    (Some("F2"), Some("2.0")),
                    (Some("F1"), Some("1.0")),
                ],
                "|F1|F2",
                "|1.0|2.0",
            ),
            (&[(Some("F1"), None), (Some("F1"), Some(""))], "|F1", "|"),
            (
                &[(Some("F1"), Some("1")), (Some("F1"), Some("2"))],
                "|F1|F1",
                "|1|2",
            ),
        ];
        for (entries, name, version) in cases {
            let mut metadata = metadata();
            for (name, version) in entries {
                metadata.append(*name, *version, None).unwrap();
            }
            assert_eq!(
                driver(&metadata),
                (name.to_owned(), version.to_owned()),
                "{entries:?}"
            );
        }
    }

    #[test]
    fn libraries_that_differ_in_platform_alone_are_not_the_same() {
        let mut metadata = metadata();
        metadata
            .append(Some("F1"), Some("1.0"), Some("P1"))
            .unwrap();
        metadata
            .append(Some("F1"), Some("1.0"), Some("P2"))
            .unwrap();
        assert_eq!(
            driver(&metadata),
            ("|F1|F1".to_owned(), "|1.0|1.0".to_owned())
        );
        assert_eq!(platform(&metadata), "|P1|P2");
    }

    #[test]
    fn a_delimiter_in_any_part_is_refused_and_changes_nothing() {
        let mut metadata = metadata();
        metadata
            .append(Some("library"), Some("1.2"), Some("Library Platform"))
            .unwrap();
        let before = shown(&metadata);
        let bad = Some("a|b");
        for (name, version, platform) in [
            (bad, None, None),
            (Some("f"), bad, None),
            (Some("f"), None, bad),
        ] {
            assert!(metadata.append(name, version, platform).is_err());
            assert_eq!(shown(&metadata), before);
        }
    }
}
