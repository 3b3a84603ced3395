//! Takes what a guest prints: into the log line by line, and the end of its standard error for
//! the message of a trap, because that is where a panic says what happened.
//!
//! It never blocks a guest, never keeps more than a bounded piece, and escapes control characters
//! before anything reaches a log or a terminal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jackfield_wire::status::printable;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Whose output it is, as the log names it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) service: Arc<str>,
    pub(crate) method: Arc<str>,
    /// The number of the call on this host; none of what the host asks for itself.
    pub(crate) call: Option<u64>,
}

/// The output of one call. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output(Arc<Streams>);

struct Streams {
    budget: Arc<LogBudget>,
    /// Never held across an await.
    said: Mutex<Said>,
}

/// What a call has written, as far as it is kept.
struct Said {
    source: Source,
    stdout: Lines,
    stderr: Lines,
}

#[derive(Default)]
struct Lines {
    /// Since the last line feed.
    line: Vec<u8>,
    /// The last bytes of all.
    tail: Vec<u8>,
}

impl Output {
    /// Output of `source`, which shares `budget` with the plugin's other calls.
    pub(crate) fn new(source: Source, budget: Arc<LogBudget>) -> Self {
        Self(Arc::new(Streams { budget, said: Mutex::new(Said::of(source)) }))
    }

    /// Goes on as the output of another call of the same instance.
    pub(crate) fn begin(&self, source: Source) {
        *self.said() = Said::of(source);
    }

    /// Whose it is.
    pub(super) fn service(&self) -> Arc<str> {
        Arc::clone(&self.said().source.service)
    }

    pub(super) fn stdout(&self) -> Sink {
        Sink { output: self.clone(), stream: Stream::Stdout }
    }

    pub(super) fn stderr(&self) -> Sink {
        Sink { output: self.clone(), stream: Stream::Stderr }
    }

    /// Logs a line that the guest gave a level and a context, as long as it keeps to the rate.
    pub(super) fn log(&self, level: tracing::Level, context: &str, text: &str) {
        let source = self.said().source.clone();
        let (context, text) = (one_line(context, MAX_CONTEXT), one_line(text, MAX_LINE));
        if !self.takes(&source, context.len() + text.len()) {
            return;
        }
        let Source { service, method, call } = source;
        macro_rules! log {
            ($level:ident) => {
                tracing::event!(
                    target: "jackfield::guest", tracing::Level::$level,
                    %service, %method, call, %context, %text
                )
            };
        }
        match level {
            tracing::Level::TRACE => log!(TRACE),
            tracing::Level::DEBUG => log!(DEBUG),
            tracing::Level::INFO => log!(INFO),
            tracing::Level::WARN => log!(WARN),
            tracing::Level::ERROR => log!(ERROR),
        }
    }

    /// Logs what was printed without a line feed at its end, and gives the end of the standard
    /// error, which is empty for most calls.
    pub(crate) fn finish(&self) -> String {
        let mut said = self.said();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let line = std::mem::take(&mut said.lines(stream).line);
            if !line.is_empty() {
                self.log_line(stream, &said.source, &line);
            }
        }
        String::from_utf8_lossy(&said.stderr.tail).trim().to_owned()
    }

    fn write_bytes(&self, stream: Stream, bytes: &[u8]) {
        let mut said = self.said();
        said.lines(stream).keep_tail(bytes);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let lines = said.lines(stream);
            let room = MAX_LINE.saturating_sub(lines.line.len());
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            lines.line.extend_from_slice(&text[..text.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut lines.line);
                self.log_line(stream, &said.source, &line);
            }
        }
    }

    fn log_line(&self, stream: Stream, source: &Source, line: &[u8]) {
        let text = printable(&String::from_utf8_lossy(line));
        if self.takes(source, text.len()) {
            let (Source { service, method, call }, stream) = (source, stream.name());
            // The text last: what a guest writes to look like a field cannot come before the fields.
            tracing::info!(target: "jackfield::guest", %service, %method, call, stream, %text);
        }
    }

    /// Whether a line of `bytes` may be logged; says how much was dropped before.
    fn takes(&self, source: &Source, bytes: usize) -> bool {
        let (fits, dropped) = self.0.budget.take(LINE_COST + bytes, Instant::now());
        if dropped > 0 {
            let service = &source.service;
            tracing::warn!(%service, dropped, "output of the plugin dropped: over its log rate");
        }
        fits
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of a plugin's output reaches the log per second.
pub(crate) struct LogBudget {
    per_second: usize,
    /// Never held across an await.
    window: Mutex<Window>,
}

struct Window {
    since: Instant,
    left: usize,
    dropped: usize,
}

impl LogBudget {
    pub(crate) fn new(per_second: usize) -> Self {
        let window = Window { since: Instant::now(), left: per_second, dropped: 0 };
        Self { per_second, window: Mutex::new(window) }
    }

    /// Whether `bytes` more may be logged at `now`, and how many bytes were dropped in a second
    /// that has ended since the last question.
    fn take(&self, bytes: usize, now: Instant) -> (bool, usize) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        if now.saturating_duration_since(window.since) >= Duration::from_secs(1) {
            dropped = window.dropped;
            *window = Window { since: now, left: self.per_second, dropped: 0 };
        }
        let fits = bytes <= window.left;
        if fits {
            window.left -= bytes;
        } else {
            window.dropped = window.dropped.saturating_add(bytes);
        }
        (fits, dropped)
    }
}

/// One of a call's two streams.
#[derive(Clone)]
pub(super) struct Sink {
    output: Output,
    stream: Stream,
}

#[derive(Clone, Copy, Debug)]
enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl Sink {
    fn write_bytes(&self, bytes: &[u8]) {
        self.output.write_bytes(self.stream, bytes);
    }
}

impl Said {
    fn of(source: Source) -> Self {
        Self { source, stdout: Lines::default(), stderr: Lines::default() }
    }

    fn lines(&mut self, stream: Stream) -> &mut Lines {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

impl Lines {
    fn keep_tail(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(MAX_TAIL)..];
        let over = (self.tail.len() + bytes.len()).saturating_sub(MAX_TAIL);
        self.tail.drain(..over);
        self.tail.extend_from_slice(bytes);
    }
}

/// At most `limit` bytes of `text` on one line.
fn one_line(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    printable(&text[..end]).replace('\n', "\\n")
}

impl IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Sink {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Sink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_bytes(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_SIZE)
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.write_bytes(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

/// The longest line of a guest in the log; the rest of a longer one is dropped.
const MAX_LINE: usize = 3 << 10;

/// The longest context that a guest gives a line: the name of a module.
const MAX_CONTEXT: usize = 128;

/// What a line takes in the log besides its text: time, names, line feed. Without it, empty lines
/// would fill a disk for free.
const LINE_COST: usize = 100;

/// What is kept of a guest's standard error: a panic's message and its place.
const MAX_TAIL: usize = 1 << 10;

/// What a guest may write at once; wasmtime allocates this much for it.
const WRITE_SIZE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn output(per_second: usize) -> Output {
        let source = Source { service: "chatty".into(), method: "talk".into(), call: Some(7) };
        Output::new(source, Arc::new(LogBudget::new(per_second)))
    }

    #[test]
    fn the_end_of_standard_error_is_kept_and_no_more() {
        let output = output(1 << 20);
        output.stderr().write_bytes(&vec![b'x'; 10 * MAX_TAIL]);
        output.stderr().write_bytes(b"thread panicked\n");
        let tail = output.finish();
        assert!(tail.ends_with("thread panicked") && tail.len() < MAX_TAIL, "{tail}");
    }

    #[test]
    fn a_line_without_end_does_not_pile_up() {
        let output = output(1 << 20);
        for _ in 0..100 {
            output.stdout().write_bytes(&vec![b'x'; MAX_LINE]);
        }
        assert_eq!(output.said().stdout.line.len(), MAX_LINE);
    }

    #[test]
    fn what_one_call_wrote_last_is_not_told_of_the_next() {
        let output = output(1 << 20);
        output.stderr().write_bytes(b"half a secret");
        output.begin(Source { service: "chatty".into(), method: "other".into(), call: Some(8) });
        assert_eq!(output.finish(), "");
    }

    #[test]
    fn output_over_the_rate_is_counted_and_said_in_the_next_second() {
        let budget = LogBudget::new(10);
        let start = budget.window.lock().unwrap().since;
        assert_eq!(budget.take(8, start), (true, 0));
        assert_eq!(budget.take(8, start), (false, 0));
        assert_eq!(budget.take(8, start + Duration::from_secs(1)), (true, 8));
    }

    #[test]
    fn a_line_with_a_level_counts_like_any_other_and_is_one_line() {
        let output = output(LINE_COST + 10);
        output.log(tracing::Level::INFO, "ctx", "text");
        output.log(tracing::Level::ERROR, "ctx", "text");
        let budget = output.0.budget.window.lock().unwrap();
        assert_eq!((budget.left, budget.dropped), (3, LINE_COST + 7));
        assert_eq!(one_line("a\nb\u{1b}ö", 5), "a\\nb\\u{1b}");
    }

    #[test]
    fn empty_lines_and_escaped_ones_count_as_what_they_take_in_the_log() {
        let output = output(3 * LINE_COST);
        output.stdout().write_bytes(b"\n\n");
        output.stdout().write_bytes(&[b"\x1b".repeat(20), b"\n".to_vec()].concat());
        let budget = output.0.budget.window.lock().unwrap();
        assert_eq!((budget.left, budget.dropped), (LINE_COST, LINE_COST + 20 * "\\u{1b}".len()));
    }
}
