//! Names of receivers become addresses here, and only those that may be called are connected to: whatever the name led to
//! when it was submitted, and whatever it leads to a moment later.

use candlemill_shared::webhook::TargetPolicy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use tokio::net::lookup_host;

/// Refuses a name as a whole when any of its addresses is refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver(pub(super) TargetPolicy);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            for address in &addresses {
                policy.admit(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::webhook::Refusal;

    async fn resolve(policy: TargetPolicy) -> Result<usize, bool> {
        let found = Resolver(policy).resolve("localhost".parse().unwrap()).await;
        found.map(Iterator::count).map_err(|error| error.is::<Refusal>())
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_by_its_address() {
        assert_eq!(resolve(TargetPolicy::default()).await, Err(true));
        assert!(resolve(TargetPolicy { private: true, http: false }).await.unwrap() > 0);
    }
}
