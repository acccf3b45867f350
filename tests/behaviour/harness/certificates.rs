//! The host that Microsoft's certificates are fetched from, played on this machine, and who signs events.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::Listener;
use customer_guard::webhook::{FetchSettings, Roots, Settings};
use rcgen::ExtendedKeyUsagePurpose;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[path = "../../../src/webhook/test_authority.rs"]
#[expect(dead_code, reason = "the unit tests need more kinds of certificates")]
pub mod test_authority;

use self::test_authority::{Identity, Leaf, SIGNER_NAME, TestAuthority};

/// The one host that certificates may be fetched from.
pub const HOST: &str = "3psostorageacct.blob.core.windows.net";
/// A host that nobody may ask.
pub const EVIL_HOST: &str = "certificates.evil.example";
/// Where Microsoft's certificate is.
pub const MICROSOFT_URL: &str = "https://3psostorageacct.blob.core.windows.net/cert/pcnotifications-dispatch.cer";
/// Where a certificate of another authority is, on the same host.
pub const IMPOSTOR_URL: &str = "https://3psostorageacct.blob.core.windows.net/cert/impostor.cer";
/// Where a certificate of the same authority is that names somebody else.
pub const NEIGHBOUR_URL: &str = "https://3psostorageacct.blob.core.windows.net/cert/neighbour.cer";

/// Who plays a part; made once, as keys take time.
pub struct Cast {
    /// What a service is told to trust, in PEM form.
    pub roots: String,
    pub microsoft: Identity,
    pub impostor: Identity,
    pub neighbour: Identity,
    host: Identity,
    host_root: String,
}

pub fn cast() -> &'static Cast {
    static CAST: OnceLock<Cast> = OnceLock::new();
    CAST.get_or_init(|| {
        let (microsofts, others) = (TestAuthority::new("Signers"), TestAuthority::new("Others"));
        let neighbour = Leaf { organizations: vec!["Contoso"], ..Leaf::of_microsoft() };
        let host = Leaf {
            organizations: Vec::new(),
            common_name: HOST,
            dns_names: vec![HOST.to_owned(), EVIL_HOST.to_owned()],
            usages: vec![ExtendedKeyUsagePurpose::ServerAuth],
            ..Leaf::of_microsoft()
        };
        Cast {
            roots: microsofts.pem(),
            microsoft: microsofts.issue(&Leaf::of_microsoft()),
            neighbour: microsofts.issue(&neighbour),
            impostor: others.issue(&Leaf::of_microsoft()),
            host: others.issue(&host),
            host_root: format!("{}{}", others.root, others.intermediate),
        }
    })
}

/// The host, with what it counts.
pub struct CertificateHost {
    address: SocketAddr,
    evil_address: SocketAddr,
    asked: Arc<Asked>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Asked {
    /// For which files, in order.
    files: Mutex<Vec<String>>,
    /// Connections to whoever must not be asked.
    evil: AtomicUsize,
}

impl CertificateHost {
    pub async fn start() -> Self {
        let cast = cast();
        let chain = vec![CertificateDer::from(cast.host.certificate.clone())];
        let key = PrivatePkcs8KeyDer::from(cast.host.key.clone());
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key.into());
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a sound certificate")));
        let asked = Arc::new(Asked::default());
        let router = Router::new().route("/cert/{file}", get(certificate)).with_state(Arc::clone(&asked));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let evil = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let evil_address = evil.local_addr().expect("an address");
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let served =
            axum::serve(OverTls { listener, acceptor }, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.spawn(async move { served.await.expect("the host serves") });
        let counts = Arc::clone(&asked);
        let stopped = stop.clone();
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    _ = evil.accept() => counts.evil.fetch_add(1, Ordering::Relaxed),
                };
            }
        });
        Self { address, evil_address, asked, stop, tasks }
    }

    /// Whom a service believes that is to ask this host. The rule for addresses is the usual one; only the network is
    /// told where the hosts are, of which one must not be asked.
    pub fn settings(&self) -> Settings {
        let resolve = [(HOST, self.address), (EVIL_HOST, self.evil_address)];
        Settings {
            certificate_hosts: BTreeSet::from([HOST.to_owned()]),
            roots: Roots::from_pem(cast().roots.as_bytes()).expect("roots"),
            signer_names: BTreeSet::from([SIGNER_NAME.to_owned()]),
            fetch: FetchSettings {
                resolve: resolve
                    .into_iter()
                    .map(|(host, address)| (host.to_owned(), address))
                    .collect::<BTreeMap<_, _>>(),
                authorities: Some(cast().host_root.clone().into_bytes()),
            },
        }
    }

    /// Which certificates were fetched.
    pub fn fetched(&self) -> Vec<String> {
        self.asked.files.lock().expect("not poisoned").clone()
    }

    /// An address of this machine that nobody may ask, for events to name.
    pub fn evil_url(&self) -> String {
        format!("http://{}", self.evil_address)
    }

    /// How often somebody was asked who must not be.
    pub fn evil_asked(&self) -> usize {
        self.asked.evil.load(Ordering::Relaxed)
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
    }
}

async fn certificate(State(asked): State<Arc<Asked>>, Path(file): Path<String>) -> impl IntoResponse {
    asked.files.lock().expect("not poisoned").push(file.clone());
    let cast = cast();
    let found = match file.as_str() {
        "pcnotifications-dispatch.cer" => &cast.microsoft.certificate,
        "impostor.cer" => &cast.impostor.certificate,
        "neighbour.cer" => &cast.neighbour.certificate,
        "moved.cer" => {
            let evil = format!("https://{EVIL_HOST}/cert/pcnotifications-dispatch.cer");
            return (StatusCode::FOUND, [(header::LOCATION, evil)]).into_response();
        }
        "endless.cer" => return vec![b'x'; 64 * 1024].into_response(),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, "application/pkix-cert")], found.clone()).into_response()
}

struct OverTls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for OverTls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((socket, peer)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(socket).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
