//! Reads secrets from their files: client secrets and certificates, refresh tokens, and the keys that seal others. Neither the secret nor the path is ever part of what is said about it: somebody may
//! have put the secret where the path belongs.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::config::value::Wrong;
use crate::sealing::SealingKeys;
use crate::sign_in::certificate::{self, ClientCertificate};

/// No secret is longer; another file was meant.
const LONGEST_SECRET: u64 = 4096;
/// No refresh token is longer.
const LONGEST_REFRESH_TOKEN: u64 = 16 * 1024;
/// No certificate with its key and chain is longer.
const LONGEST_CERTIFICATE: u64 = certificate::PEM_BYTES_MAX as u64;

/// The secret in that file, without the white space around it.
pub(super) fn read(path: &str) -> Result<SecretString, Wrong> {
    one_word(path, LONGEST_SECRET)
}

/// The refresh token in that file, without the white space around it.
pub(super) fn read_long(path: &str) -> Result<SecretString, Wrong> {
    one_word(path, LONGEST_REFRESH_TOKEN)
}

/// The certificate in that file, with its private key. Whether it is valid now is judged whenever it is used.
pub(super) fn certificate(path: &str) -> Result<ClientCertificate, Wrong> {
    let text = private_text(path, LONGEST_CERTIFICATE)?;
    ClientCertificate::parse(&text).map_err(|problems| {
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        format!("names a file that {}", told.join(" and "))
    })
}

fn one_word(path: &str, longest: u64) -> Result<SecretString, Wrong> {
    let text = private_text(path, longest)?;
    let secret = text.expose_secret().trim();
    if secret.is_empty() {
        return Err("names an empty file".to_owned());
    }
    if secret.contains(char::is_whitespace) {
        return Err("names a file that holds more than a secret: there is white space inside".to_owned());
    }
    Ok(SecretString::from(secret))
}

/// The sealing keys in that file.
pub(super) fn sealing_keys(path: &str) -> Result<SealingKeys, Wrong> {
    SealingKeys::parse(&private_text(path, LONGEST_SECRET)?).map_err(|error| format!("names a file that {error}"))
}

/// The text of a file that only its owner may read.
fn private_text(path: &str, longest: u64) -> Result<SecretString, Wrong> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "names a file that does not exist".to_owned(),
        ErrorKind::PermissionDenied => "names a file that this user may not read".to_owned(),
        _ => format!("names a file that cannot be read: {}", error.kind()),
    };
    let mut file = File::open(Path::new(path)).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("names something that is no file".to_owned());
    }
    if metadata.len() > longest {
        return Err("names a file that is too long for a secret".to_owned());
    }
    if is_open_to_others(&metadata) {
        return Err("names a file that others than its owner may read; put that right with: chmod 600 FILE".to_owned());
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|_| "names a file that is no text".to_owned())?;
    Ok(SecretString::from(text))
}

#[cfg(unix)]
fn is_open_to_others(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

/// Elsewhere files have no such bits to look at.
#[cfg(not(unix))]
fn is_open_to_others(_metadata: &Metadata) -> bool {
    false
}
