//! Read and write concerns: in connection strings, and as the documents that commands carry.

use motorcade::options::{ClientOptions, ReadConcern, WriteConcern};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Check, check_warning, client_options, equal, options::relaxed_object, parse};

/// A case about the concerns of a connection string.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UriCase {
    #[serde(rename = "description")]
    _description: String,
    uri: String,
    valid: bool,
    warning: Option<bool>,
    #[serde(rename = "readConcern")]
    read_concern: Option<Value>,
    #[serde(rename = "writeConcern")]
    write_concern: Option<WrittenConcern>,
}

/// A write concern as the cases write it.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenConcern {
    #[serde(skip_serializing_if = "Option::is_none")]
    w: Option<Value>,
    #[serde(rename = "wtimeoutMS", skip_serializing_if = "Option::is_none")]
    w_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<bool>,
}

impl From<&WriteConcern> for WrittenConcern {
    fn from(concern: &WriteConcern) -> Self {
        Self {
            w: concern.w.as_ref().map(|w| json!(w)),
            w_timeout: concern
                .w_timeout
                .and_then(|limit| i64::try_from(limit.as_millis()).ok()),
            journal: concern.journal,
        }
    }
}

/// The specification calls negative numbers invalid without saying whether they are refused or
/// ignored with a warning (`warning` is null); the URI options specification says the latter.
pub(super) fn check_uri(case: &UriCase) -> Check {
    let may_be_ignored = !case.valid && case.warning.is_none();
    if may_be_ignored && let Ok(parsed) = super::ConnectionString::parse(&case.uri) {
        check_warning(&parsed, true)?;
        equal("the write concern", &None, &parsed.write_concern)?;
        return equal("the read concern", &None, &parsed.read_concern);
    }
    let Some(parsed) = parse(&case.uri, case.valid)? else {
        return Ok(());
    };
    if let Some(expected) = case.warning {
        check_warning(&parsed, expected)?;
    }
    let client = client_options(&parsed)?.ok_or("the driver makes no client options of it")?;
    for (read, write) in [
        (&parsed.read_concern, &parsed.write_concern),
        (&client.read_concern, &client.write_concern),
    ] {
        if let Some(expected) = &case.read_concern {
            equal("the read concern", expected, &read_document(read.as_ref())?)?;
        }
        if let Some(expected) = &case.write_concern {
            let found = write.as_ref().map(WrittenConcern::from);
            equal("the write concern", expected, &found.unwrap_or_default())?;
        }
    }
    Ok(())
}

/// A case about the document of a concern.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DocumentCase {
    #[serde(rename = "description")]
    _description: String,
    valid: bool,
    read_concern: Option<Map<String, Value>>,
    read_concern_document: Option<Value>,
    write_concern: Option<WrittenConcern>,
    write_concern_document: Option<Value>,
    is_server_default: Option<bool>,
    is_acknowledged: Option<bool>,
}

pub(super) fn check_document(case: &DocumentCase) -> Check {
    match (&case.read_concern, &case.write_concern) {
        (Some(concern), None) => check_read_concern(case, concern),
        (None, Some(concern)) => check_write_concern(case, concern),
        _ => Err("the case has not exactly one of readConcern and writeConcern".to_owned()),
    }
}

fn check_read_concern(case: &DocumentCase, concern: &Map<String, Value>) -> Check {
    // The driver has no empty read concern: there is one, or there is none.
    let concern = if concern.is_empty() {
        None
    } else {
        match ReadConcern::deserialize(Value::from(concern.clone())) {
            Ok(concern) if case.valid => Some(concern),
            Err(_) if !case.valid => return Ok(()),
            Ok(concern) => return Err(format!("{concern:?} is invalid, but accepted")),
            Err(error) => return Err(format!("the read concern is refused: {error}")),
        }
    };
    if let Some(expected) = &case.read_concern_document {
        equal("the document", expected, &read_document(concern.as_ref())?)?;
    }
    if let Some(expected) = case.is_server_default {
        equal("isServerDefault", &expected, &concern.is_none())?;
    }
    Ok(())
}

fn check_write_concern(case: &DocumentCase, written: &WrittenConcern) -> Check {
    let concern = match WriteConcern::deserialize(json!(written)) {
        Ok(concern) => concern,
        Err(_) if !case.valid => return Ok(()),
        Err(error) => return Err(format!("the write concern is refused: {error}")),
    };
    let mut client = ClientOptions::default();
    client.write_concern = Some(concern.clone());
    match (client.validate(), case.valid) {
        (Ok(()), true) | (Err(_), false) => {}
        (Ok(()), false) => return Err(format!("{concern:?} is invalid, but accepted")),
        (Err(error), true) => return Err(format!("the write concern is refused: {error}")),
    }
    if let Some(expected) = &case.write_concern_document {
        equal("the document", expected, &document(&concern)?)?;
    }
    if let Some(expected) = case.is_server_default {
        equal("isServerDefault", &expected, &concern.is_server_default())?;
    }
    if let Some(expected) = case.is_acknowledged {
        equal("isAcknowledged", &expected, &concern.is_acknowledged())?;
    }
    Ok(())
}

fn read_document(concern: Option<&ReadConcern>) -> Result<Value, String> {
    concern.map_or_else(|| Ok(json!({})), document)
}

/// What a command carries.
fn document(concern: &impl Serialize) -> Result<Value, String> {
    let document = bson::serialize_to_document(concern).map_err(|error| error.to_string())?;
    Ok(Value::Object(relaxed_object(&document)))
}
