//! The connection string of a client entity: that of the deployment, with the entity's options.

use bson::{Bson, Document};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The connection string `base` with these options, which take the place of its own ones.
///
/// # Errors
///
/// Fails on a value that no option can have.
pub fn with_options(base: &str, options: &Document) -> Result<String, String> {
    let mut parts = Parts::of(base)?;
    for (name, value) in options {
        parts.set(name, value)?;
    }
    Ok(parts.join())
}

/// The connection string `base` with as many hosts as `useMultipleMongoses` wants: the first alone
/// or several.
///
/// # Errors
///
/// Fails when several are wanted and there is one.
pub fn with_hosts(base: &str, several: bool) -> Result<String, String> {
    let mut parts = Parts::of(base)?;
    if !several {
        parts.keep_first_host();
    } else if !parts.hosts.contains(',') {
        return Err("the case needs a deployment with several routers".to_owned());
    }
    Ok(parts.join())
}

/// A connection string taken apart.
struct Parts<'a> {
    scheme: &'a str,
    hosts: &'a str,
    database: &'a str,
    /// Names and values, the latter percent-encoded.
    options: Vec<(String, String)>,
}

impl<'a> Parts<'a> {
    fn of(base: &'a str) -> Result<Self, String> {
        let (scheme, rest) = base
            .split_once("://")
            .ok_or_else(|| "the deployment's connection string has no scheme".to_owned())?;
        let (front, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = front.split_once('/').unwrap_or((front, ""));
        let options = options
            .split('&')
            .filter_map(|option| option.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(Self {
            scheme,
            hosts,
            database,
            options,
        })
    }

    fn set(&mut self, name: &str, value: &Bson) -> Result<(), String> {
        self.remove(name);
        match value {
            // Each element of the list is one use of the option.
            Bson::Array(values) => {
                for value in values {
                    self.push(name, &text(name, value)?);
                }
            }
            value => self.push(name, &text(name, value)?),
        }
        // A direct connection is to one server, whatever set that belongs to.
        if name.eq_ignore_ascii_case("directConnection") && value == &Bson::Boolean(true) {
            self.remove("replicaSet");
            self.keep_first_host();
        }
        Ok(())
    }

    fn keep_first_host(&mut self) {
        let start = self.hosts.rfind('@').map_or(0, |at| at + 1);
        let further = self.hosts.get(start..).and_then(|hosts| hosts.find(','));
        let end = further.map_or(self.hosts.len(), |comma| start + comma);
        self.hosts = self.hosts.get(..end).unwrap_or(self.hosts);
    }

    fn remove(&mut self, name: &str) {
        self.options
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }

    fn push(&mut self, name: &str, value: &str) {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
        self.options.push((name.to_owned(), value));
    }

    fn join(&self) -> String {
        let options: Vec<_> = self
            .options
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mark = if options.is_empty() { "" } else { "?" };
        format!(
            "{}://{}/{}{mark}{}",
            self.scheme,
            self.hosts,
            self.database,
            options.join("&")
        )
    }
}

/// A value as a connection string writes it; a document is a list of `name:value`.
fn text(name: &str, value: &Bson) -> Result<String, String> {
    match value {
        Bson::String(text) => Ok(text.clone()),
        Bson::Boolean(value) => Ok(value.to_string()),
        Bson::Int32(value) => Ok(value.to_string()),
        Bson::Int64(value) => Ok(value.to_string()),
        Bson::Double(value) => Ok(value.to_string()),
        Bson::Document(document) => {
            if document.keys().any(|key| key == "$$placeholder") {
                return Err(format!("uriOptions: nothing stands in for `{name}` here"));
            }
            let pairs: Result<Vec<_>, _> = document
                .iter()
                .map(|(key, value)| text(name, value).map(|value| format!("{key}:{value}")))
                .collect();
            Ok(pairs?.join(","))
        }
        other => Err(format!("uriOptions: `{name}` cannot be {other}")),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn own_options_take_the_place_of_the_deployment_s() {
        let base = "mongodb://a:1,b:2/?replicaSet=rs&appName=x";
        let options = doc! { "appname": "o w&n", "readPreferenceTags": ["dc:a", "dc:b"], "w": 1 };
        assert_eq!(
            with_options(base, &options).unwrap(),
            "mongodb://a:1,b:2/?replicaSet=rs&appname=o%20w%26n&readPreferenceTags=dc%3Aa\
             &readPreferenceTags=dc%3Ab&w=1"
        );
        assert_eq!(
            with_options("mongodb://a:1", &doc! {}).unwrap(),
            "mongodb://a:1/"
        );
    }

    #[test]
    fn a_value_that_must_be_replaced_is_refused() {
        let properties = doc! { "ENVIRONMENT": { "$$placeholder": 1 } };
        for options in [
            doc! { "username": { "$$placeholder": 1 } },
            doc! { "authMechanismProperties": properties },
        ] {
            let error = with_options("mongodb://a:1", &options).unwrap_err();
            assert!(error.contains("nothing stands in for"), "{error}");
        }
    }

    #[test]
    fn as_many_routers_as_wanted_are_named() {
        let routers = "mongodb://u:p@a:1,b:2/?x=y";
        assert_eq!(
            with_hosts(routers, false).unwrap(),
            "mongodb://u:p@a:1/?x=y"
        );
        assert_eq!(with_hosts(routers, true).unwrap(), routers);
        assert!(with_hosts("mongodb://a:1", true).is_err());
    }

    #[test]
    fn a_direct_connection_is_to_the_first_host_alone() {
        for (base, expected) in [
            (
                "mongodb://a:1,b:2/?replicaSet=rs",
                "mongodb://a:1/?directConnection=true",
            ),
            (
                "mongodb://u:p@a:1,b:2/d",
                "mongodb://u:p@a:1/d?directConnection=true",
            ),
        ] {
            let options = doc! { "directConnection": true };
            assert_eq!(with_options(base, &options).unwrap(), expected);
        }
    }
}
