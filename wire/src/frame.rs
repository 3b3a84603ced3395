//! Length-prefixed frames: one byte of kind, four bytes of big-endian length, the payload.
//!
//! The decoder never allocates for a payload before its length was held against the limit of its
//! kind, and grows its buffer with what has arrived, not with what was announced.

use bytes::{Buf, Bytes, BytesMut};

/// What a frame's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// CBOR: [`crate::CallHead`] in a request, [`crate::AnswerHead`] in an answer.
    Head = 1,
    /// JSON array: positional arguments of a call.
    Positional = 2,
    /// JSON object: named arguments of a call.
    Named = 3,
    /// JSON value: the result, or the typed error of an `application` answer.
    Value = 4,
    /// CBOR: one message of the registry protocol.
    Message = 5,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Head,
            2 => Self::Positional,
            3 => Self::Named,
            4 => Self::Value,
            5 => Self::Message,
            _ => return None,
        })
    }
}

/// One whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the payload is.
    pub kind: FrameKind,
    /// The payload, without its prefix.
    pub payload: Bytes,
}

/// The longest payload taken, in bytes, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameLimits {
    /// For [`FrameKind::Head`]. Default 16 KiB: names, trace context and an error text fit.
    pub head: u32,
    /// For [`FrameKind::Positional`] and [`FrameKind::Named`], each. Default 4 MiB, as gRPC has it.
    pub arguments: u32,
    /// For [`FrameKind::Value`]. Default 16 MiB.
    pub value: u32,
    /// For [`FrameKind::Message`]. Default 1 MiB: larger registry answers come in parts.
    pub message: u32,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self { head: 16 << 10, arguments: 4 << 20, value: 16 << 20, message: 1 << 20 }
    }
}

impl FrameLimits {
    fn of(&self, kind: FrameKind) -> u32 {
        match kind {
            FrameKind::Head => self.head,
            FrameKind::Positional | FrameKind::Named => self.arguments,
            FrameKind::Value => self.value,
            FrameKind::Message => self.message,
        }
    }
}

/// Bytes that are not frames, or frames that are too long. The stream is beyond recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A kind that this version does not know.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// A payload announced as longer than its limit.
    #[error("{kind:?} frame of {len} bytes is over the limit of {limit} bytes")]
    TooLong {
        /// What the frame was.
        kind: FrameKind,
        /// The length that its prefix announced.
        len: u32,
        /// The longest that would have been taken.
        limit: u32,
    },
    /// The stream ended inside a frame.
    #[error("stream ended {missing} bytes before the end of a frame")]
    Truncated {
        /// How many bytes were still to come (of the prefix, when that was not complete).
        missing: usize,
    },
}

/// Appends a frame to `out`.
///
/// # Panics
/// When the payload is longer than `u32::MAX`; no limit of [`FrameLimits`] lets one be made.
pub fn encode(kind: FrameKind, payload: &[u8], out: &mut Vec<u8>) {
    let len = u32::try_from(payload.len()).expect("payloads are bounded far below 4 GiB");
    out.reserve(PREFIX + payload.len());
    out.push(kind as u8);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Cuts a stream of chunks into frames.
///
/// Feed it with [`push`](Self::push), take frames with [`next_frame`](Self::next_frame) until that
/// says `None`, and call [`finish`](Self::finish) at the end of the stream.
#[derive(Debug)]
pub struct FrameDecoder {
    limits: FrameLimits,
    /// Not yet cut up. Holds a chunk as it came while no frame spans two chunks.
    chunk: Bytes,
    /// A frame, or a prefix, that spans chunks.
    partial: BytesMut,
}

impl FrameDecoder {
    /// A decoder at the start of a stream.
    pub fn new(limits: FrameLimits) -> Self {
        Self { limits, chunk: Bytes::new(), partial: BytesMut::new() }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut joined = BytesMut::from(std::mem::take(&mut self.chunk));
            joined.extend_from_slice(&chunk);
            self.chunk = joined.freeze();
        }
    }

    /// The next whole frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError::UnknownKind`] or [`FrameError::TooLong`], as soon as the prefix is there.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if !self.partial.is_empty() {
            return self.next_spanning();
        }
        if self.chunk.len() < PREFIX {
            self.keep_rest();
            return Ok(None);
        }
        let (kind, len) = self.prefix(&self.chunk)?;
        if self.chunk.len() - PREFIX < len {
            self.keep_rest();
            return Ok(None);
        }
        self.chunk.advance(PREFIX);
        Ok(Some(Frame { kind, payload: self.chunk.split_to(len) }))
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] inside a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        let have = self.partial.len() + self.chunk.len();
        if have == 0 {
            return Ok(());
        }
        let want = match self.prefix(&self.partial) {
            Ok((_, len)) if self.partial.len() >= PREFIX => PREFIX + len,
            _ => PREFIX,
        };
        Err(FrameError::Truncated { missing: want.saturating_sub(have) })
    }

    fn next_spanning(&mut self) -> Result<Option<Frame>, FrameError> {
        self.fill_to(PREFIX);
        if self.partial.len() < PREFIX {
            return Ok(None);
        }
        let (kind, len) = self.prefix(&self.partial)?;
        self.fill_to(PREFIX + len);
        if self.partial.len() < PREFIX + len {
            return Ok(None);
        }
        let mut whole = std::mem::take(&mut self.partial).freeze();
        whole.advance(PREFIX);
        Ok(Some(Frame { kind, payload: whole }))
    }

    /// Moves bytes from the chunk until `partial` holds `len` or the chunk is used up.
    fn fill_to(&mut self, len: usize) {
        let missing = len.saturating_sub(self.partial.len()).min(self.chunk.len());
        self.partial.extend_from_slice(&self.chunk[..missing]);
        self.chunk.advance(missing);
    }

    fn keep_rest(&mut self) {
        self.fill_to(usize::MAX);
    }

    fn prefix(&self, bytes: &[u8]) -> Result<(FrameKind, usize), FrameError> {
        let Some((&byte, rest)) = bytes.split_first() else {
            return Ok((FrameKind::Head, 0));
        };
        let kind = FrameKind::from_byte(byte).ok_or(FrameError::UnknownKind(byte))?;
        let Some(len) = rest.first_chunk::<4>() else {
            return Ok((kind, 0));
        };
        let len = u32::from_be_bytes(*len);
        let limit = self.limits.of(kind);
        if len > limit {
            return Err(FrameError::TooLong { kind, len, limit });
        }
        Ok((kind, usize::try_from(len).expect("a u32 fits a usize on every target of wasmtime")))
    }
}

/// Bytes before the payload: kind and length.
const PREFIX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_in_pieces(stream: &[u8], cut: usize) -> Result<Vec<Frame>, FrameError> {
        let mut decoder = FrameDecoder::new(FrameLimits::default());
        let mut frames = Vec::new();
        for piece in stream.chunks(cut.max(1)) {
            decoder.push(Bytes::copy_from_slice(piece));
            while let Some(frame) = decoder.next_frame()? {
                frames.push(frame);
            }
        }
        decoder.finish()?;
        Ok(frames)
    }

    fn any_frame() -> impl Strategy<Value = (FrameKind, Vec<u8>)> {
        let kind = (1u8..=5).prop_map(|b| FrameKind::from_byte(b).expect("1 to 5 are kinds"));
        (kind, proptest::collection::vec(any::<u8>(), 0..200))
    }

    proptest! {
        #[test]
        fn frames_survive_any_chunking(
            frames in proptest::collection::vec(any_frame(), 0..6),
            cut in 1usize..300,
        ) {
            let mut stream = Vec::new();
            for (kind, payload) in &frames {
                encode(*kind, payload, &mut stream);
            }
            let decoded = decode_in_pieces(&stream, cut).unwrap();
            let expected: Vec<_> = frames
                .into_iter()
                .map(|(kind, payload)| Frame { kind, payload: payload.into() })
                .collect();
            prop_assert_eq!(decoded, expected);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(
            stream in proptest::collection::vec(any::<u8>(), 0..400),
            cut in 1usize..64,
        ) {
            let _ = decode_in_pieces(&stream, cut);
        }

        #[test]
        fn a_stream_that_ends_inside_a_frame_is_truncated(
            payload in proptest::collection::vec(any::<u8>(), 1..100),
            keep in 1usize..100,
        ) {
            let mut stream = Vec::new();
            encode(FrameKind::Value, &payload, &mut stream);
            let keep = keep.min(stream.len() - 1);
            let missing = if keep < PREFIX { PREFIX - keep } else { stream.len() - keep };
            prop_assert_eq!(
                decode_in_pieces(&stream[..keep], 7),
                Err(FrameError::Truncated { missing })
            );
        }
    }

    #[test]
    fn an_announced_length_over_the_limit_is_refused_before_the_payload_comes() {
        let mut decoder = FrameDecoder::new(FrameLimits::default());
        decoder.push(Bytes::from_static(&[2, 0xff, 0xff, 0xff, 0xff]));
        let error = decoder.next_frame().unwrap_err();
        let expected =
            FrameError::TooLong { kind: FrameKind::Positional, len: u32::MAX, limit: 4 << 20 };
        assert_eq!(error, expected);
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        let mut decoder = FrameDecoder::new(FrameLimits::default());
        decoder.push(Bytes::from_static(&[9, 0, 0, 0, 0]));
        assert_eq!(decoder.next_frame(), Err(FrameError::UnknownKind(9)));
    }
}
