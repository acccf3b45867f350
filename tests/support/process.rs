//! A process of ours: what it says, how much memory it takes, and its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Far more than a start takes, so that a slow machine is no failure.
const DEADLINE: Duration = Duration::from_secs(120);
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The lines kept for whoever has to find out why it did not start.
const LINES_KEPT: usize = 1_000;

pub struct Process {
    child: Child,
    lines: Receiver<String>,
    memory: Arc<Memory>,
}

/// Resident memory in bytes.
#[derive(Debug, Default)]
struct Memory {
    peak: AtomicU64,
    ended: AtomicBool,
}

fn send_lines(from: impl Read + Send + 'static, to: Sender<String>) {
    thread::spawn(move || {
        // Also when nobody listens any more: a pipe that is full would stop the process.
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if line.contains("\"ERROR\"") || line.contains("panicked") {
                println!("{line}");
            }
            let _ = to.send(line);
        }
    });
}

/// A size in `/proc/<pid>/status`, in bytes; 0 once the process has ended.
fn status(process: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (sender, lines) = channel();
        send_lines(child.stdout.take().expect("standard output is piped"), sender.clone());
        send_lines(child.stderr.take().expect("standard error is piped"), sender);
        let memory = Arc::new(Memory::default());
        let (looked_at, process) = (Arc::clone(&memory), child.id());
        thread::spawn(move || {
            while !looked_at.ended.load(Ordering::Acquire) {
                // The high-water mark of the system misses nothing between two looks.
                let peak = status(process, "VmHWM").max(status(process, "VmRSS"));
                looked_at.peak.fetch_max(peak, Ordering::AcqRel);
                thread::sleep(LOOK);
            }
        });
        Self { child, lines, memory }
    }

    /// Waits for a line that holds `part`.
    pub fn line_with(&mut self, part: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line =
                self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no line with {part:?} after {seen:#?}"));
            if line.contains(part) {
                return line;
            }
            if seen.len() < LINES_KEPT {
                seen.push(line);
            }
        }
    }

    /// The most resident memory it had so far, in bytes.
    pub fn peak(&self) -> u64 {
        self.memory.peak.load(Ordering::Acquire).max(status(self.child.id(), "VmHWM"))
    }

    /// The resident memory it has now, in bytes.
    pub fn resident(&self) -> u64 {
        status(self.child.id(), "VmRSS")
    }

    /// How long it has kept a processor busy.
    pub fn busy(&self) -> Duration {
        const TICKS_PER_SECOND: u64 = 100;
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // After the name, which may hold blanks, the fields 14 and 15 of the whole line.
        let fields = text.rsplit_once(") ").map(|(_, rest)| rest.split(' ')).into_iter().flatten();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.memory.ended.store(true, Ordering::Release);
        // One that has ended cannot be killed, which is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The first loopback address in a line.
pub fn address_in(line: &str) -> String {
    let from = line.find("127.0.0.1:").expect("an address");
    line[from..].chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter)).collect()
}
