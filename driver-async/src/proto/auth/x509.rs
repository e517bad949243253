//! Authentication by the certificate that TLS has presented.

use crate::{error::Result, proto::wire::DocumentWriter};

/// Writes the `authenticate` command of MONGODB-X509; the database is the caller's to write.
///
/// Without a user name the server takes the subject of the certificate.
///
/// # Errors
/// An invalid-argument error when the user name is longer than BSON can express.
pub(crate) fn x509_authenticate(
    command: &mut DocumentWriter<'_>,
    username: Option<&str>,
) -> Result<()> {
    command.append_i32("authenticate", 1)?;
    command.append_str("mechanism", "MONGODB-X509")?;
    username.map_or(Ok(()), |username| command.append_str("user", username))
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    #[test]
    fn a_user_name_is_sent_only_when_given() {
        for (username, wanted) in [
            (
                None,
                doc! { "authenticate": 1, "mechanism": "MONGODB-X509" },
            ),
            (
                Some("CN=client"),
                doc! { "authenticate": 1, "mechanism": "MONGODB-X509", "user": "CN=client" },
            ),
        ] {
            let mut bytes = Vec::new();
            let mut command = DocumentWriter::begin(&mut bytes);
            x509_authenticate(&mut command, username).unwrap();
            command.end().unwrap();
            assert_eq!(Document::from_reader(&*bytes).unwrap(), wanted);
        }
    }
}
