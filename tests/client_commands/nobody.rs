//! A service that is not there, or says nothing.

use super::{output, stderr};

#[test]
fn nobody_listening_is_explained() {
    // A port that was free a moment ago, as nobody else is told of it.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let server = free.to_string();
    let asked = output(&["list", "--server", &server]);
    assert_eq!(asked.status.code(), Some(6));
    assert!(stderr(&asked).contains(&format!("nothing answers at http://{server}")), "{}", stderr(&asked));
    assert!(stderr(&asked).contains("customer-guard demo"), "{}", stderr(&asked));
}

#[test]
fn a_service_that_says_nothing_is_not_waited_for() {
    // It takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = silent.local_addr().expect("an address").to_string();
    let asked = output(&["list", "--server", &server, "--timeout", "50ms"]);
    assert_eq!(asked.status.code(), Some(6), "{}", stderr(&asked));
}
