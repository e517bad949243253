//! What a hello reply says about a server.

use std::time::Duration;

use bson::{DateTime, RawArray, RawBsonRef, RawDocument, RawDocumentBuf, oid::ObjectId};

use crate::{
    address::ServerAddress,
    description::TopologyVersion,
    error::{Error, Result},
    options::TagSet,
};

/// What a hello reply says about a server, in the driver's own types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HelloReply {
    /// Whether the command succeeded.
    pub ok: bool,
    /// Whether the server knows the `hello` command.
    pub hello_ok: bool,
    /// Whether the server takes writes (`isWritablePrimary`, formerly `ismaster`).
    pub is_writable_primary: bool,
    /// Whether the server is a secondary.
    pub secondary: bool,
    /// Whether the server is an arbiter.
    pub arbiter_only: bool,
    /// Whether the member is hidden from clients.
    pub hidden: bool,
    /// Whether the server was started for a replica set but has no configuration yet.
    pub is_replica_set: bool,
    /// `isdbgrid` on a mongos.
    pub msg: Option<String>,
    /// The replica set's name.
    pub set_name: Option<String>,
    /// The version of the replica set's configuration.
    pub set_version: Option<i32>,
    /// The election that made this member primary.
    pub election_id: Option<ObjectId>,
    /// The primary as this member knows it.
    pub primary: Option<ServerAddress>,
    /// The members that hold data and can become primary.
    pub hosts: Vec<ServerAddress>,
    /// The members that hold data and cannot become primary.
    pub passives: Vec<ServerAddress>,
    /// The arbiters.
    pub arbiters: Vec<ServerAddress>,
    /// The server's own name in the configuration.
    pub me: Option<ServerAddress>,
    /// The member's tags.
    pub tags: TagSet,
    /// When the last write happened, for the estimate of staleness.
    pub last_write_date: Option<DateTime>,
    /// How long an unused session lives.
    pub logical_session_timeout: Option<Duration>,
    /// The largest document, in bytes.
    pub max_bson_object_size: Option<i32>,
    /// The largest message, in bytes.
    pub max_message_size_bytes: Option<i32>,
    /// The most writes in one command.
    pub max_write_batch_size: Option<i32>,
    /// The oldest wire version the server speaks.
    pub min_wire_version: i32,
    /// The newest wire version the server speaks.
    pub max_wire_version: i32,
    /// Orders this reply among others of the server.
    pub topology_version: Option<TopologyVersion>,
    /// The service behind a load balancer.
    pub service_id: Option<ObjectId>,
    /// The server's number for the connection.
    pub connection_id: Option<i64>,
    /// The compressors that the server accepts.
    pub compression: Vec<String>,
    /// The SCRAM mechanisms of the user that was asked about.
    pub sasl_supported_mechs: Option<Vec<String>>,
    /// The server's half of speculative authentication.
    pub speculative_authenticate: Option<RawDocumentBuf>,
    /// `$clusterTime`, to be gossiped.
    pub cluster_time: Option<RawDocumentBuf>,
}

impl HelloReply {
    /// Reads a reply in one walk.
    ///
    /// A field that is missing or null keeps its default. Unknown fields are passed over, so that
    /// newer servers can add to the reply.
    ///
    /// # Errors
    /// An invalid-response error that names the field which has the wrong type or an impossible
    /// value. A reply whose `ok` is not 1 is no error here: [`HelloReply::ok`] tells.
    pub fn parse(reply: &RawDocument) -> Result<Self> {
        let mut hello = Self::default();
        for element in reply {
            let (key, value) = element.map_err(malformed)?;
            if value == RawBsonRef::Null {
                continue;
            }
            let field = Field {
                name: key.as_str(),
                value,
            };
            hello.read(field)?;
        }
        Ok(hello)
    }

    fn read(&mut self, field: Field<'_>) -> Result<()> {
        match field.name {
            "ok" => self.ok = field.flag()?,
            "helloOk" => self.hello_ok = field.flag()?,
            "isWritablePrimary" | "ismaster" => self.is_writable_primary |= field.flag()?,
            "secondary" => self.secondary = field.flag()?,
            "arbiterOnly" => self.arbiter_only = field.flag()?,
            "hidden" => self.hidden = field.flag()?,
            "isreplicaset" => self.is_replica_set = field.flag()?,
            "msg" => self.msg = Some(field.text()?),
            "setName" => self.set_name = Some(field.text()?),
            "setVersion" => self.set_version = Some(field.i32()?),
            "electionId" => self.election_id = Some(field.object_id()?),
            "primary" => self.primary = Some(field.address()?),
            "hosts" => self.hosts = field.addresses()?,
            "passives" => self.passives = field.addresses()?,
            "arbiters" => self.arbiters = field.addresses()?,
            "me" => self.me = Some(field.address()?),
            "tags" => self.tags = field.tags()?,
            "lastWrite" => self.last_write_date = field.last_write_date()?,
            "logicalSessionTimeoutMinutes" => self.logical_session_timeout = Some(field.minutes()?),
            "maxBsonObjectSize" => self.max_bson_object_size = Some(field.i32()?),
            "maxMessageSizeBytes" => self.max_message_size_bytes = Some(field.i32()?),
            "maxWriteBatchSize" => self.max_write_batch_size = Some(field.i32()?),
            "minWireVersion" => self.min_wire_version = field.i32()?,
            "maxWireVersion" => self.max_wire_version = field.i32()?,
            "topologyVersion" => self.topology_version = Some(field.topology_version()?),
            "serviceId" => self.service_id = Some(field.object_id()?),
            "connectionId" => self.connection_id = Some(field.i64()?),
            "compression" => self.compression = field.names()?,
            "saslSupportedMechs" => self.sasl_supported_mechs = Some(field.names()?),
            "speculativeAuthenticate" => {
                self.speculative_authenticate = Some(field.document()?.to_owned());
            }
            "$clusterTime" => self.cluster_time = Some(field.document()?.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

impl TopologyVersion {
    /// Reads a `topologyVersion` document, which error replies have too.
    ///
    /// # Errors
    /// An invalid-response error when a part is missing or has the wrong type.
    pub fn parse(document: &RawDocument) -> Result<Self> {
        let part = |name: &'static str| match document.get(name) {
            Ok(Some(value)) => Ok(Field { name, value }),
            Ok(None) => {
                let message = format!("topologyVersion has no {name}");
                Err(Error::invalid_response(message))
            }
            Err(error) => Err(malformed(error)),
        };
        Ok(Self {
            process_id: part("processId")?.object_id()?,
            counter: part("counter")?.i64()?,
        })
    }
}

/// One element of the reply.
#[derive(Clone, Copy)]
struct Field<'a> {
    name: &'a str,
    value: RawBsonRef<'a>,
}

impl<'a> Field<'a> {
    fn wrong(self, wanted: &str) -> Error {
        let name = self.name;
        // Only numbers are shown: anything else may be long or hold what must not get into logs.
        let found = match self.value {
            RawBsonRef::Int32(value) => value.to_string(),
            RawBsonRef::Int64(value) => value.to_string(),
            RawBsonRef::Double(value) => value.to_string(),
            other => format!("a BSON {:?}", other.element_type()),
        };
        Error::invalid_response(format!("{name} should be {wanted} and is {found}"))
    }

    /// Numbers stand for truth too, as they do for the server itself.
    fn flag(self) -> Result<bool> {
        match self.value {
            RawBsonRef::Boolean(value) => Ok(value),
            RawBsonRef::Int32(value) => Ok(value != 0),
            RawBsonRef::Int64(value) => Ok(value != 0),
            RawBsonRef::Double(value) => Ok(value != 0.0),
            _ => Err(self.wrong("true or false")),
        }
    }

    fn i64(self) -> Result<i64> {
        let number = match self.value {
            RawBsonRef::Int32(value) => Some(value.into()),
            RawBsonRef::Int64(value) => Some(value),
            // Text is the way from a double to an integer that can neither wrap nor saturate.
            RawBsonRef::Double(value) if value.fract() == 0.0 => format!("{value:.0}").parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.wrong("an integer"))
    }

    fn i32(self) -> Result<i32> {
        i32::try_from(self.i64()?).map_err(|_| self.wrong("a 32-bit integer"))
    }

    fn minutes(self) -> Result<Duration> {
        let seconds = u64::try_from(self.i64()?)
            .ok()
            .and_then(|minutes| minutes.checked_mul(60));
        seconds
            .map(Duration::from_secs)
            .ok_or_else(|| self.wrong("a number of minutes"))
    }

    fn str(self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    fn text(self) -> Result<String> {
        self.str().map(str::to_owned)
    }

    fn object_id(self) -> Result<ObjectId> {
        self.value
            .as_object_id()
            .ok_or_else(|| self.wrong("an ObjectId"))
    }

    fn document(self) -> Result<&'a RawDocument> {
        self.value
            .as_document()
            .ok_or_else(|| self.wrong("a document"))
    }

    fn array(self) -> Result<&'a RawArray> {
        self.value.as_array().ok_or_else(|| self.wrong("an array"))
    }

    fn address(self) -> Result<ServerAddress> {
        let text = self.str()?;
        ServerAddress::parse(text)
            .map_err(|error| self.wrong("the address of a server").with_source(error))
    }

    fn elements(self) -> Result<impl Iterator<Item = Result<Self>>> {
        let name = self.name;
        let elements = self.array()?.into_iter();
        Ok(elements.map(move |value| {
            Ok(Self {
                name,
                value: value.map_err(malformed)?,
            })
        }))
    }

    fn addresses(self) -> Result<Vec<ServerAddress>> {
        self.elements()?.map(|element| element?.address()).collect()
    }

    fn names(self) -> Result<Vec<String>> {
        self.elements()?.map(|element| element?.text()).collect()
    }

    fn tags(self) -> Result<TagSet> {
        let mut tags = TagSet::new();
        for element in self.document()? {
            let (key, value) = element.map_err(malformed)?;
            let value = Self {
                name: "a tag",
                value,
            }
            .text()?;
            tags.insert(key.as_str().to_owned(), value);
        }
        Ok(tags)
    }

    fn last_write_date(self) -> Result<Option<DateTime>> {
        let name = "lastWrite.lastWriteDate";
        match self.document()?.get("lastWriteDate") {
            Ok(None | Some(RawBsonRef::Null)) => Ok(None),
            Ok(Some(RawBsonRef::DateTime(date))) => Ok(Some(date)),
            Ok(Some(value)) => Err(Self { name, value }.wrong("a date")),
            Err(error) => Err(malformed(error)),
        }
    }

    fn topology_version(self) -> Result<TopologyVersion> {
        TopologyVersion::parse(self.document()?)
    }
}

fn malformed(error: bson::error::Error) -> Error {
    Error::invalid_response("the hello reply is no valid BSON").with_source(error.into())
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, doc, rawdoc};

    use super::*;

    #[test]
    fn reads_every_field() {
        let id = ObjectId::new();
        let reply = rawdoc! {
            "helloOk": true, "isWritablePrimary": true, "secondary": false, "arbiterOnly": false,
            "hidden": true, "isreplicaset": false, "msg": "isdbgrid", "setName": "rs",
            "setVersion": 3, "electionId": id, "primary": "A:27018", "hosts": ["a:27018", "b"],
            "passives": ["c"], "arbiters": ["d"], "me": "a:27018", "tags": { "dc": "east" },
            "lastWrite": { "lastWriteDate": DateTime::from_millis(7), "majority": {} },
            "logicalSessionTimeoutMinutes": 30, "maxBsonObjectSize": 1, "maxMessageSizeBytes": 2_i64,
            "maxWriteBatchSize": 3.0, "minWireVersion": 6, "maxWireVersion": 17,
            "topologyVersion": { "processId": id, "counter": 5_i64 }, "serviceId": id,
            "connectionId": 9, "compression": ["zstd"], "saslSupportedMechs": ["SCRAM-SHA-1", "X"],
            "speculativeAuthenticate": { "done": false }, "$clusterTime": { "t": 1 },
            "unknown": { "of": "tomorrow" }, "ok": 1.0,
        };
        let address = |text| ServerAddress::parse(text).unwrap();
        let wanted = HelloReply {
            ok: true,
            hello_ok: true,
            is_writable_primary: true,
            secondary: false,
            arbiter_only: false,
            hidden: true,
            is_replica_set: false,
            msg: Some("isdbgrid".into()),
            set_name: Some("rs".into()),
            set_version: Some(3),
            election_id: Some(id),
            primary: Some(address("a:27018")),
            hosts: vec![address("a:27018"), address("b")],
            passives: vec![address("c")],
            arbiters: vec![address("d")],
            me: Some(address("a:27018")),
            tags: [("dc".to_owned(), "east".to_owned())].into(),
            last_write_date: Some(DateTime::from_millis(7)),
            logical_session_timeout: Some(Duration::from_secs(1800)),
            max_bson_object_size: Some(1),
            max_message_size_bytes: Some(2),
            max_write_batch_size: Some(3),
            min_wire_version: 6,
            max_wire_version: 17,
            topology_version: Some(TopologyVersion {
                process_id: id,
                counter: 5,
            }),
            service_id: Some(id),
            connection_id: Some(9),
            compression: vec!["zstd".into()],
            sasl_supported_mechs: Some(vec!["SCRAM-SHA-1".into(), "X".into()]),
            speculative_authenticate: Some(rawdoc! { "done": false }),
            cluster_time: Some(rawdoc! { "t": 1 }),
        };
        assert_eq!(HelloReply::parse(&reply).unwrap(), wanted);
    }

    #[test]
    fn a_legacy_reply_names_a_writable_primary_too() {
        let reply = rawdoc! { "ismaster": true, "ok": 1 };
        assert!(HelloReply::parse(&reply).unwrap().is_writable_primary);
    }

    #[test]
    fn missing_and_null_fields_keep_their_defaults() {
        let reply =
            rawdoc! { "setName": null, "logicalSessionTimeoutMinutes": null, "hosts": null };
        assert_eq!(HelloReply::parse(&reply).unwrap(), HelloReply::default());
    }

    #[test]
    fn wrong_types_and_values_are_refused() {
        for (field, reply) in [
            ("ok", doc! { "ok": "1" }),
            ("helloOk", doc! { "helloOk": {} }),
            ("setName", doc! { "setName": 1 }),
            ("setVersion", doc! { "setVersion": i64::MAX }),
            ("setVersion", doc! { "setVersion": 1.5 }),
            ("maxWireVersion", doc! { "maxWireVersion": f64::NAN }),
            ("connectionId", doc! { "connectionId": 1e300 }),
            ("electionId", doc! { "electionId": "x" }),
            ("hosts", doc! { "hosts": "a" }),
            ("hosts", doc! { "hosts": [1] }),
            ("hosts", doc! { "hosts": ["a:99999"] }),
            ("primary", doc! { "primary": "" }),
            ("a tag", doc! { "tags": { "dc": 1 } }),
            ("lastWrite", doc! { "lastWrite": 1 }),
            (
                "lastWriteDate",
                doc! { "lastWrite": { "lastWriteDate": 1 } },
            ),
            (
                "logicalSessionTimeoutMinutes",
                doc! { "logicalSessionTimeoutMinutes": -1 },
            ),
            (
                "logicalSessionTimeoutMinutes",
                doc! { "logicalSessionTimeoutMinutes": i64::MAX },
            ),
            ("processId", doc! { "topologyVersion": { "counter": 1 } }),
            (
                "counter",
                doc! { "topologyVersion": { "processId": ObjectId::new() } },
            ),
            (
                "speculativeAuthenticate",
                doc! { "speculativeAuthenticate": [] },
            ),
        ] {
            let raw = RawDocumentBuf::try_from(&reply).unwrap();
            let error = HelloReply::parse(&raw).expect_err(field);
            assert!(error.to_string().contains(field), "{reply}: {error}");
        }
    }

    #[test]
    fn broken_bson_is_an_error_and_no_panic() {
        let whole = rawdoc! { "setName": "rs", "hosts": ["a:1"], "tags": { "a": "b" }, "ok": 1 };
        let bytes = whole.as_bytes();
        for place in 4..bytes.len() - 1 {
            for value in [0, 1, 2, 3, 4, 0x7f, 0xff] {
                let mut broken = bytes.to_vec();
                broken[place] = value;
                if let Ok(document) = RawDocument::from_bytes(&broken) {
                    let _ = HelloReply::parse(document);
                }
            }
        }
    }
}
