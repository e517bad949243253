//! A connection string while its options are read.

use std::fmt;

use super::{
    ConnectionString, HostInfo,
    credential::AuthDraft,
    grammar::{Parts, decode, decode_database},
    hosts, invalid,
    reads::ReadsDraft,
    redacted, suggestion,
    table::{self, Read, Repeated, UriOption},
    tls::TlsDraft,
    values::{Rejection, ignored, parse_count, parse_flag, parse_millis},
};
use crate::{
    error::{Error, Result},
    options::{
        Compressor, ReadConcern, Socks5Proxy, TopologyOptions, WriteConcern, validate_topology,
    },
};

/// What has been read so far: the fields that one option decides, and the parts of those that
/// several decide together.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) uri: ConnectionString,
    pub(super) auth: AuthDraft,
    pub(super) reads: ReadsDraft,
    pub(super) tls: TlsDraft,
    pub(super) proxy: ProxyDraft,
    pub(super) read_concern: Option<String>,
    pub(super) write_concern: WriteConcern,
    pub(super) zlib_level: Option<u32>,
    /// The options that appeared, whatever came of their values.
    seen: Vec<&'static str>,
    /// The places of the options that are ignored.
    ignored: Vec<usize>,
}

/// The parts of a SOCKS5 proxy.
#[derive(Default)]
pub(super) struct ProxyDraft {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

impl Draft {
    pub(super) fn read_options(&mut self, options: &[(&str, &str)]) -> Result<()> {
        for (place, (name, value)) in options.iter().enumerate() {
            let Some(option) = table::find(name) else {
                self.ignored.push(place);
                self.warn_of_unknown(name, place + 1);
                continue;
            };
            if let Some(replacement) = option.replacement {
                let is_replaced = options
                    .iter()
                    .any(|(name, _)| name.eq_ignore_ascii_case(replacement));
                if is_replaced {
                    self.ignored.push(place);
                    self.warn(format_args!(
                        "the deprecated option {} is ignored because {replacement} is there too",
                        option.name
                    ));
                    continue;
                }
                self.warn(format_args!(
                    "the option {} is deprecated; write {replacement}",
                    option.name
                ));
            }
            if let Some(advice) = self.read_option(option, value)? {
                self.ignored.push(place);
                self.warn(format_args!(
                    "the value of {} is ignored: {advice}",
                    option.name
                ));
            }
        }
        Ok(())
    }

    /// Reads the value; gives advice when it is to be ignored.
    fn read_option(&mut self, option: &'static UriOption, value: &str) -> Result<Option<String>> {
        let name = option.name;
        if self.seen.contains(&name) {
            match option.repeated {
                Repeated::Refused => {
                    return Err(invalid(format_args!(
                        "{name} is given twice; write it once"
                    )));
                }
                Repeated::Warned => {
                    self.warn(format_args!("{name} is given twice; the last one counts"));
                }
                Repeated::Listed | Repeated::Agreeing => {}
            }
        } else {
            self.seen.push(name);
        }
        let value = decode(value, &format!("the value of {name}"))?;
        match self.read_value(option, &value) {
            Ok(()) => Ok(None),
            Err(Rejection::Fatal(error)) => Err(invalid(error)),
            Err(Rejection::Ignored(advice)) => Ok(Some(advice)),
        }
    }

    fn read_value(
        &mut self,
        option: &UriOption,
        value: &str,
    ) -> std::result::Result<(), Rejection> {
        match option.read {
            Read::Flag(field) => {
                let (flag, is_deprecated) = parse_flag(value)?;
                if is_deprecated {
                    self.warn_of_deprecated_flag(option.name, value, flag);
                }
                let field = field(self);
                if option.repeated == Repeated::Agreeing && field.is_some_and(|old| old != flag) {
                    return Err(Rejection::Fatal(Error::invalid_argument(format!(
                        "{} is given twice, with different values; write it once",
                        option.name
                    ))));
                }
                *field = Some(flag);
            }
            Read::Millis(field) => {
                *field(&mut self.uri) = Some(parse_millis(value, i64::from(i32::MAX))?);
            }
            Read::Count(least, field) => *field(&mut self.uri) = Some(parse_count(value, least)?),
            Read::Text(_) if value.is_empty() => return ignored("it is empty"),
            Read::Text(field) => *field(self) = Some(value.to_owned()),
            Read::Special(read) => return read(self, value),
        }
        Ok(())
    }

    /// Puts the parts together and refuses what does not fit.
    pub(super) fn finish(mut self, parts: &Parts<'_>) -> Result<ConnectionString> {
        self.uri.host_info = hosts::parse(parts)?;
        self.uri.default_database = parts.database.map(decode_database).transpose()?;
        self.uri.read_preference = self.reads.finish()?;
        self.uri.read_concern = self.read_concern.as_deref().map(ReadConcern::custom);
        self.write_concern.validate().map_err(invalid)?;
        self.uri.write_concern =
            Some(self.write_concern.clone()).filter(|concern| !concern.is_server_default());
        self.finish_compressors();
        self.finish_proxy()?;
        self.finish_tls(parts.is_srv)?;
        self.finish_credential(parts)?;
        self.refuse_contradictions(parts.is_srv)?;
        self.uri.redacted = redacted::redact(parts, &self.ignored);
        Ok(self.uri)
    }

    fn finish_compressors(&mut self) {
        for compressor in self.uri.compressors.iter_mut().flatten() {
            if let Compressor::Zlib { level } = compressor {
                *level = self.zlib_level;
            }
        }
    }

    fn finish_proxy(&mut self) -> Result<()> {
        let proxy = std::mem::take(&mut self.proxy);
        let Some(host) = proxy.host else {
            let is_absent =
                proxy.port.is_none() && proxy.username.is_none() && proxy.password.is_none();
            return if is_absent {
                Ok(())
            } else {
                Err(invalid(
                    "proxyPort, proxyUsername and proxyPassword need a proxyHost",
                ))
            };
        };
        let authentication = match (proxy.username, proxy.password) {
            (Some(username), Some(password)) => Some((username, password)),
            (None, None) => None,
            _ => {
                return Err(invalid(
                    "proxyUsername and proxyPassword are only of use together; write both or none",
                ));
            }
        };
        self.uri.socks5_proxy = Some(Socks5Proxy {
            host,
            port: proxy.port,
            authentication,
        });
        Ok(())
    }

    fn finish_tls(&mut self, is_srv: bool) -> Result<()> {
        super::tls::refuse_contradictions(&self.seen)?;
        let unused = self.tls.enabled == Some(false) && self.has_tls_details();
        self.uri.tls = std::mem::take(&mut self.tls).finish(is_srv, &self.uri);
        if unused {
            self.warn("tls=false makes all other options that begin with tls have no effect");
        }
        Ok(())
    }

    fn has_tls_details(&self) -> bool {
        self.seen
            .iter()
            .any(|name| name.starts_with("tls") && *name != "tls")
    }

    fn finish_credential(&mut self, parts: &Parts<'_>) -> Result<()> {
        let auth = std::mem::take(&mut self.auth);
        if let Some(warning) = auth.warning() {
            self.warn(warning);
        }
        if auth.is_without_user(parts) {
            self.warn(
                "authMechanismProperties is ignored because there is neither a user name nor an \
                 authMechanism",
            );
            return Ok(());
        }
        self.uri.credential = auth.finish(parts, self.uri.default_database.as_deref())?;
        Ok(())
    }

    fn refuse_contradictions(&self, is_srv: bool) -> Result<()> {
        let uri = &self.uri;
        let hosts = match &uri.host_info {
            HostInfo::HostIdentifiers(hosts) => hosts.as_slice(),
            HostInfo::DnsRecord(_) => &[],
        };
        validate_topology(&TopologyOptions {
            hosts,
            repl_set_name: uri.replica_set.as_deref(),
            direct_connection: uri.direct_connection,
            load_balanced: uri.load_balanced,
        })
        .map_err(invalid)?;
        let has_srv_options = uri.srv_max_hosts.is_some()
            || uri.srv_service_name.is_some()
            || uri.srv_allowed_hosts_suffix.is_some();
        if !is_srv && has_srv_options {
            return Err(invalid(
                "srvMaxHosts, srvServiceName and srvAllowedHostsSuffix are only of use with \
                 mongodb+srv://; leave them out",
            ));
        }
        if is_srv && uri.direct_connection == Some(true) {
            return Err(invalid(
                "directConnection=true speaks to one host alone, and mongodb+srv:// may name \
                 several; write mongodb:// and the host",
            ));
        }
        let is_sampled = uri.srv_max_hosts.is_some_and(|most| most > 0);
        if is_sampled && (uri.replica_set.is_some() || uri.load_balanced == Some(true)) {
            return Err(invalid(
                "srvMaxHosts cannot be combined with replicaSet or loadBalanced=true; leave it out \
                 or write 0",
            ));
        }
        Ok(())
    }

    pub(super) fn warn_of_deprecated_flag(&mut self, name: &str, value: &str, flag: bool) {
        self.warn(format_args!(
            "the value {value:?} of {name} is deprecated; write {name}={flag}"
        ));
    }

    /// The name is not quoted: after an unencoded `?` in a password, it is a part of the password.
    fn warn_of_unknown(&mut self, name: &str, number: usize) {
        match suggestion::nearest(name, table::names()) {
            Some(meant) => self.warn(format_args!(
                "option number {number} has an unknown name and is ignored; did you mean {meant}?"
            )),
            None => self.warn(format_args!(
                "option number {number} has an unknown name and is ignored"
            )),
        }
    }

    fn warn(&mut self, warning: impl fmt::Display) {
        self.uri.warnings.push(warning.to_string());
    }
}
