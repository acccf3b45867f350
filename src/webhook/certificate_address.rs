//! Where a signer's certificate may be fetched from: an exact host, one folder, one kind of name.
//!
//! The text is compared, not interpreted: what differs from the one allowed form in any way is no address, so that no
//! two readers of it can disagree. What is asked for is put together anew from the parts.

use std::fmt;

const NAME_MAX: usize = 100;

/// An address of the one allowed form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CertificateAddress {
    host: String,
    name: String,
}

impl CertificateAddress {
    /// Reads `https://{host}/cert/{name}.cer` with a host that is exactly one of these.
    pub(super) fn read<'a>(text: &str, hosts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let (authority, path) = text.strip_prefix("https://")?.split_once('/')?;
        let host = authority.strip_suffix(":443").unwrap_or(authority);
        let host = hosts.into_iter().find(|allowed| *allowed == host)?;
        let name = path.strip_prefix("cert/")?.strip_suffix(".cer")?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed);
        is_name.then(|| Self { host: host.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for CertificateAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "https://{}/cert/{}.cer", self.host, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "3psostorageacct.blob.core.windows.net";

    fn read(text: &str) -> Option<CertificateAddress> {
        CertificateAddress::read(text, [HOST, "other.example"])
    }

    #[test]
    fn the_documented_address_is_one() {
        let documented = format!("https://{HOST}/cert/pcnotifications-dispatch.microsoft.com.cer");
        assert_eq!(read(&documented).expect("an address").to_string(), documented);
        let with_port = format!("https://{HOST}:443/cert/pcnotifications-dispatch.microsoft.com.cer");
        assert_eq!(read(&with_port).expect("an address").to_string(), documented);
    }

    #[test]
    fn everything_that_differs_from_the_form_is_none() {
        let long = format!("https://{HOST}/cert/{}.cer", "a".repeat(NAME_MAX + 1));
        let bad = [
            "",
            "http://other.example/cert/a.cer",
            "HTTPS://other.example/cert/a.cer",
            "https://Other.example/cert/a.cer",
            "https://evil.example/cert/a.cer",
            "https://evil.other.example/cert/a.cer",
            "https://other.example.evil.example/cert/a.cer",
            "https://evil.example#other.example/cert/a.cer",
            "https://evil.example\\other.example/cert/a.cer",
            "https://other.example@evil.example/cert/a.cer",
            "https://user:secret@other.example/cert/a.cer",
            "https://other.example:8443/cert/a.cer",
            "https://other.example./cert/a.cer",
            "https://оther.example/cert/a.cer",
            "https://127.0.0.1/cert/a.cer",
            "https://other.example/a.cer",
            "https://other.example/cert/.cer",
            "https://other.example/cert/a.pem",
            "https://other.example/cert/a.cer?x=1",
            "https://other.example/cert/a.cer#x",
            "https://other.example/cert/../a.cer",
            "https://other.example/cert/b/a.cer",
            "https://other.example/cert/%2e%2e.cer",
            "https://other.example//cert/a.cer",
            "https://other.example/cert/a b.cer",
            "file:///cert/a.cer",
            &long,
        ];
        for bad in bad {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
