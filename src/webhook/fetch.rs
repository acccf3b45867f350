//! Fetches a certificate: the only request that an event can cause before it is proven genuine.
//!
//! https only, no redirects, no proxy, no cookies, no decompression, a few kilobytes within a few seconds, and to
//! public addresses only: a name that leads into our own network is not asked.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode};

use crate::webhook::certificate_address::CertificateAddress;

/// The longest file with one certificate.
const LENGTH_MAX: usize = 16 * 1024;
/// How long a fetch may take; whoever sent the event waits for it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How hosts of certificates are reached, where that is not as usual.
#[derive(Clone, Debug, Default)]
pub struct FetchSettings {
    /// Addresses of hosts, instead of asking the network. For tests: the rules for addresses stay as they are.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// Who vouches for these hosts, in PEM form, instead of the machine's authorities.
    pub authorities: Option<Vec<u8>>,
}

/// No client can be made with which certificates could be fetched.
#[derive(Debug, thiserror::Error)]
#[error("no HTTPS client could be made to fetch certificates of webhook signers")]
pub struct NoFetcher(#[source] reqwest::Error);

/// The client.
#[derive(Debug)]
pub(super) struct Fetcher(Client);

impl Fetcher {
    pub(super) fn new(settings: FetchSettings) -> Result<Self, NoFetcher> {
        let mut client = Client::builder()
            .https_only(true)
            .redirect(Policy::none())
            .no_proxy()
            .no_gzip()
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .dns_resolver(PublicAddresses { instead: settings.resolve });
        if let Some(pem) = settings.authorities {
            client = client.tls_certs_only(Certificate::from_pem_bundle(&pem).map_err(NoFetcher)?);
        }
        client.build().map(Self).map_err(NoFetcher)
    }

    /// What is at the address; `None` when it cannot be had.
    pub(super) async fn fetch(&self, address: &CertificateAddress) -> Option<Vec<u8>> {
        match self.get(address).await {
            Ok(Some(found)) => Some(found),
            Ok(None) => {
                tracing::warn!(address = %address, "a webhook signer's certificate is not where it should be");
                None
            }
            Err(error) => {
                let error = error.without_url();
                tracing::warn!(address = %address, error = %error, "a webhook signer's certificate cannot be fetched");
                None
            }
        }
    }

    async fn get(&self, address: &CertificateAddress) -> Result<Option<Vec<u8>>, reqwest::Error> {
        let mut response = self.0.get(address.to_string()).send().await?;
        if response.status() != StatusCode::OK {
            return Ok(None);
        }
        let mut found = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if found.len() + chunk.len() > LENGTH_MAX {
                return Ok(None);
            }
            found.extend_from_slice(&chunk);
        }
        Ok(Some(found))
    }
}

/// Asks the network for addresses, and takes none unless all of them are public.
struct PublicAddresses {
    instead: BTreeMap<String, SocketAddr>,
}

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let instead = self.instead.get(&host).copied();
        Box::pin(async move {
            let found: Vec<SocketAddr> = match instead {
                Some(address) => vec![address],
                None => {
                    let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
                    if !found.iter().all(|address| is_public(address.ip())) {
                        return Err(io::Error::other("its name leads to an address that is not public").into());
                    }
                    found
                }
            };
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_for_protocols = (a, b, c) == (192, 0, 0);
    let is_for_benchmarks = a == 198 && (18..20).contains(&b);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || is_shared
        || is_for_protocols
        || is_for_benchmarks)
}

/// Only global unicast, and nothing in it that stands for an IPv4 address of somebody's choice.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_global_unicast = first & 0xe000 == 0x2000;
    let is_6to4 = first == 0x2002;
    let is_special = first == 0x2001 && (second < 0x0200 || second == 0x0db8);
    is_global_unicast && !is_6to4 && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_asked() {
        for public in ["20.60.1.1", "1.1.1.1", "2603:1030::1", "2a01:111::1"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_asked() {
        let name = "localhost".parse().expect("a name");
        let resolver = PublicAddresses { instead: BTreeMap::new() };
        assert!(resolver.resolve(name).await.is_err());
        let there = SocketAddr::from(([127, 0, 0, 1], 4433));
        let resolver = PublicAddresses { instead: BTreeMap::from([("localhost".to_owned(), there)]) };
        let found: Vec<_> = resolver.resolve("localhost".parse().expect("a name")).await.expect("found").collect();
        assert_eq!(found, [there]);
    }
}
