//! Copies of a database that are made while it is in use, and put back while it is not.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::postgres_server;
use crate::shell::Shell;

/// Copies a file.
pub async fn of_file(database: &Path, backup: &Path) {
    let to = backup.to_str().expect("a readable path");
    Shell::on_file(database).await.run(&format!("VACUUM INTO '{to}'")).await.expect("a backup");
}

/// Puts a backup in the place of a file.
pub fn to_file(backup: &Path, database: &Path) {
    // What a write-ahead log still holds belongs to the database that is replaced, and would be read into the restored one.
    for beside in ["-wal", "-shm"] {
        let mut file = database.as_os_str().to_owned();
        file.push(beside);
        let removed = std::fs::remove_file(file);
        assert!(removed.is_ok() || removed.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound), "removed");
    }
    std::fs::rename(backup, database).expect("it is restored");
}

/// Copies the database of a server; the address is of somebody who may do everything.
pub fn of_server(url: &str, backup: &Path) {
    server_tool("pg_dump", &["--format=custom", "--file", backup.to_str().expect("a readable path"), url]);
}

/// Puts a backup in the place of what the database of a server holds.
pub fn to_server(backup: &Path, url: &str) {
    let from = backup.to_str().expect("a readable path");
    server_tool("pg_restore", &["--clean", "--if-exists", "--single-transaction", "--dbname", url, from]);
}

/// Runs one of the programs that come with the server.
fn server_tool(name: &str, arguments: &[&str]) {
    let program = postgres_server::binaries().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
    let done = Command::new(program).args(arguments).output().expect("it runs");
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
}
