//! Logging: one JSON object a line, or text for people. It must never show a statement, a header, a body, an address,
//! a name or a secret: libraries that could are kept to warnings, and a panic is logged without its message.

use std::fs::File;
use std::panic::PanicHookInfo;
use std::sync::Mutex;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// Libraries that would write statements, headers or bodies; no filter can make them.
const QUIET_LIBRARIES: [&str; 11] = [
    "sqlx",
    "sqlx_core",
    "sqlx_postgres",
    "sqlx_sqlite",
    "h2",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "tower",
    "tonic",
];
/// Says, as an error, of each new connection that a host of PostgreSQL takes no writes. While the hosts change that is expected, and
/// whoever could not be served is told, as is which host it is now; at this level it says nothing else.
const EXPECTED_ERRORS: &str = "sqlx_core::pool::inner";

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Directives such as `info,customer_guard::sync=debug`; see [`is_filter`].
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Text for people.
    Text,
}

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directives.
    #[error("the log filter cannot be read")]
    Filter(#[from] ParseError),
    /// Logging was started before.
    #[error("logging was started before")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// Whether these are directives.
pub fn is_filter(text: &str) -> bool {
    EnvFilter::try_new(text).is_ok()
}

/// Logs to standard output from now on, panics too.
pub fn start(settings: &Settings) -> Result<(), StartError> {
    let lines = match settings.format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text => fmt::layer().boxed(),
    };
    install(&settings.filter, lines)
}

/// Logs text to a file from now on, panics too.
pub fn start_in_file(filter: &str, file: File) -> Result<(), StartError> {
    install(filter, fmt::layer().with_ansi(false).with_writer(Mutex::new(file)).boxed())
}

fn install(filter: &str, lines: Lines) -> Result<(), StartError> {
    subscriber(filter, lines)?.try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn subscriber(filter: &str, lines: Lines) -> Result<impl Subscriber + Send + Sync, ParseError> {
    let filter = EnvFilter::try_new(filter)?.and(filter_fn(may_be_logged));
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter)))
}

fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    if metadata.target() == EXPECTED_ERRORS && *metadata.level() == Level::ERROR {
        return false;
    }
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    !QUIET_LIBRARIES.contains(&crate_name) || *metadata.level() <= Level::WARN
}

/// The message of a panic may quote what the code was working on, so only the place is told.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    tracing::error!(code.place = %place, "a part of the service panicked at {place}");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no writer panics").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What `action` logs with that filter.
    fn logged(filter: &str, action: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let lines = fmt::layer().json().with_writer(move || writer.clone()).boxed();
        tracing::subscriber::with_default(subscriber(filter, lines).expect("a sound filter"), action);
        let bytes = written.0.lock().expect("no writer panics").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn no_filter_makes_libraries_show_statements_or_headers() {
        for filter in ["trace", "info,sqlx::query=trace,h2=trace"] {
            let text = logged(filter, || {
                tracing::debug!(target: "sqlx::query", "a statement");
                tracing::trace!(target: "h2::codec", "a header");
                tracing::warn!(target: "sqlx::query", "a slow one");
                tracing::info!("ours");
            });
            assert!(!text.contains("a statement") && !text.contains("a header"), "{text}");
            assert!(text.contains("a slow one") && text.contains("ours"), "{text}");
        }
    }

    #[test]
    fn a_host_that_takes_no_writes_is_no_error_for_each_connection() {
        let text = logged("info", || {
            tracing::error!(target: "sqlx_core::pool::inner", "error returned from after_connect");
            tracing::warn!(target: "sqlx_core::pool::inner", "a slow one");
            tracing::error!(target: "sqlx_core::pool::connection", "another");
        });
        assert!(!text.contains("after_connect") && text.contains("a slow one") && text.contains("another"), "{text}");
    }

    #[test]
    fn a_filter_is_checked_before_it_is_used() {
        for good in ["info", "warn,customer_guard::sync=debug", "off"] {
            assert!(is_filter(good), "{good}");
        }
        assert!(!is_filter("customer_guard=loud"));
    }

    #[test]
    fn a_panic_is_logged_by_its_place_without_its_message() {
        let text = logged("info", || {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(log_panic));
            let panicked = std::panic::catch_unwind(|| panic!("anna@example.com"));
            std::panic::set_hook(usual);
            assert!(panicked.is_err());
        });
        assert!(text.contains("telemetry.rs") && !text.contains("anna"), "{text}");
    }
}
