//! `accounts set-credentials`: by what an account signs in, out of files; a secret is never on a command line nor in an
//! output.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use customer_guard::grpc::proto;

use super::failure::Failure;
use super::names;

/// No file of credentials is longer.
const FILE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct SetCredentials {
    /// The partner account
    #[arg(value_name = "ACCOUNT", value_parser = names::account)]
    name: String,
    /// The application (client) id; the one the account has, if it is not given
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The file that holds the client secret
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "certificate_file",
        required_unless_present = "certificate_file"
    )]
    secret_file: Option<PathBuf>,
    /// The PEM file that holds the client certificate and its private key
    #[arg(long, value_name = "FILE")]
    certificate_file: Option<PathBuf>,
    /// The file that holds a refresh token of a user
    #[arg(long, value_name = "FILE")]
    refresh_token_file: Option<PathBuf>,
}

impl SetCredentials {
    /// The account whose application id is needed, because none is given.
    pub(super) fn lacks_client_id(&self) -> Option<&str> {
        self.client_id.is_none().then_some(&self.name)
    }

    /// The request, with what the files hold; `known` is the application the account has.
    pub(super) fn request(self, known: String) -> Result<proto::SetPartnerAccountCredentialsRequest, Failure> {
        let text = |file: &Option<PathBuf>| file.as_deref().map(read).transpose().map(Option::unwrap_or_default);
        let client_id = self.client_id.unwrap_or(known);
        if client_id.is_empty() {
            let what = "the account has no application yet; tell it with --client-id".to_owned();
            return Err(Failure::CommandLine(what));
        }
        Ok(proto::SetPartnerAccountCredentialsRequest {
            client_secret: text(&self.secret_file)?,
            client_certificate: text(&self.certificate_file)?,
            refresh_token: text(&self.refresh_token_file)?,
            client_id,
            name: self.name,
        })
    }
}

/// The text of a file without the white space around it. What is said about it never holds any of it.
fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |what: String| Failure::CommandLine(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| wrong(format!("cannot be read: {}", error.kind())))?;
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| wrong(format!("cannot be read as text: {}", error.kind())))?;
    let is_too_long = u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX;
    match text.trim() {
        _ if is_too_long => Err(wrong("is too long for credentials".to_owned())),
        "" => Err(wrong("is empty".to_owned())),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        set: SetCredentials,
    }

    fn line(arguments: &[&str]) -> Result<SetCredentials, clap::Error> {
        Line::try_parse_from(std::iter::once(&"set").chain(arguments)).map(|line| line.set)
    }

    fn told(failure: &Failure) -> String {
        match failure {
            Failure::CommandLine(what) => what.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_files_hold_becomes_the_request() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path.display().to_string()
        };
        let (pem, token) = (file("a.pem", "a certificate\n"), file("token", " a-token \n"));
        let arguments = ["contoso", "--certificate-file", &pem, "--refresh-token-file", &token];
        let set = line(&arguments).expect("a command line");
        assert_eq!(set.lacks_client_id(), Some("partnerAccounts/contoso"));
        let request = set.request("an-application".to_owned()).expect("a request");
        assert_eq!((request.client_id.as_str(), request.client_secret.as_str()), ("an-application", ""));
        assert_eq!((request.client_certificate.as_str(), request.refresh_token.as_str()), ("a certificate", "a-token"));
        let unknown = line(&arguments).expect("a command line").request(String::new()).expect_err("no application");
        assert!(told(&unknown).contains("--client-id"));
    }

    #[test]
    fn a_secret_or_a_certificate_has_to_be_given_and_never_both() {
        for arguments in [&["contoso"][..], &["contoso", "--secret-file", "a", "--certificate-file", "b"]] {
            line(arguments).expect_err("a wrong command line");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let set = line(&["contoso", "--client-id", "an-id", "--secret-file", "/no/such/file"]).expect("a command line");
        let failure = set.request(String::new()).expect_err("no file");
        assert!(told(&failure).starts_with("/no/such/file: cannot be read"));
    }
}
