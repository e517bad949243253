//! Services that speak the protocol without being MongoDB.

use crate::options::ServerAddress;

/// What to tell a user whose hosts belong to a service that is not MongoDB but looks like it.
pub(crate) fn for_hosts(hosts: &[ServerAddress]) -> Option<String> {
    const SERVICES: [(&str, &str); 4] = [
        (".cosmos.azure.com", "Azure Cosmos DB"),
        (".documents.azure.com", "Azure Cosmos DB"),
        (".docdb.amazonaws.com", "Amazon DocumentDB"),
        (".docdb-elastic.amazonaws.com", "Amazon DocumentDB"),
    ];
    let service = hosts
        .iter()
        .filter_map(ServerAddress::host)
        .find_map(|host| {
            let matches = |(suffix, _): &&(&str, &str)| host.ends_with(suffix);
            SERVICES.iter().find(matches).map(|(_, service)| service)
        })?;
    Some(format!(
        "the hosts belong to {service}, which differs from MongoDB in places; this driver is \
         tested against MongoDB only"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_services_are_told_by_their_host_names() {
        let notice = |host: &str| for_hosts(&[ServerAddress::parse(host).unwrap()]);
        assert!(
            notice("x.mongo.COSMOS.azure.com:10255")
                .unwrap()
                .contains("Cosmos")
        );
        assert!(
            notice("c.cluster-x.us-east-1.docdb.amazonaws.com")
                .unwrap()
                .contains("DocumentDB")
        );
        assert_eq!(notice("cosmos.azure.com.example.com"), None);
        assert_eq!(notice("/tmp/docdb.amazonaws.com/x.sock"), None);
    }
}
