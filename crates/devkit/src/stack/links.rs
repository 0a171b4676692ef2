//! Proxies between the product and its servers.

use crate::proxy::FaultProxy;
use anyhow::Result;

/// Proxies between the product and what it depends on, for tests that break the network.
#[derive(Debug)]
pub struct Links {
    /// Between API and workers and Redis.
    pub redis: FaultProxy,
    /// Between API and workers and MongoDB.
    pub mongo: FaultProxy,
    /// Between workers and the exchange.
    pub exchange: FaultProxy,
    /// Between the API and Supabase.
    pub supabase: FaultProxy,
}

impl Links {
    /// Starts the proxies; the simulator listens on `simulator_port` later.
    pub(super) async fn start(redis_url: &str, mongo_uri: &str, simulator_port: u16) -> Result<Self> {
        let simulator = format!("127.0.0.1:{simulator_port}");
        Ok(Self {
            redis: FaultProxy::start(authority(redis_url)).await?,
            mongo: FaultProxy::start(authority(mongo_uri)).await?,
            exchange: FaultProxy::start(&simulator).await?,
            supabase: FaultProxy::start(&simulator).await?,
        })
    }
}

/// `url` with its host and port replaced by the proxy's.
pub(super) fn via(url: &str, link: Option<&FaultProxy>) -> String {
    link.map_or_else(|| url.to_owned(), |link| url.replacen(authority(url), &link.addr(), 1))
}

/// Host and port of a URL without a user part.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: &str) {
        assert_eq!(authority(url), expected, "{url}");
    }

    #[test]
    fn authorities() {
        check("redis://127.0.0.1:6379", "127.0.0.1:6379");
        check("redis://127.0.0.1:6379/1", "127.0.0.1:6379");
        check("mongodb://127.0.0.1:27017/?directConnection=true", "127.0.0.1:27017");
        check("http://127.0.0.1:80", "127.0.0.1:80");
    }

    #[tokio::test]
    async fn a_proxy_replaces_host_and_port_only() {
        let link = FaultProxy::start("127.0.0.1:9").await.unwrap();
        let expected = format!("mongodb://{}/?directConnection=true", link.addr());
        assert_eq!(via("mongodb://127.0.0.1:9/?directConnection=true", Some(&link)), expected);
    }
}
