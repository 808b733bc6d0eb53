//! A stream with TLS, which Python's `ssl` does between the socket and the connection (`face/tierce/streams.py`, `Tls`).

use std::io;
use std::ptr;
use std::task::{Context, Poll};

use pyo3_ffi as ffi;
use tierce::runtime::Wire;

use super::held::Held;
use super::stream::Stream;
use crate::owned::{Owned, Raised, Result, ask, bytes_object, bytes_of, integer};
use crate::raised;

pub(crate) struct Encrypted {
    stream: Stream,
    /// The face's `Tls`, whose handshake is over.
    tls: Held,
    /// Encrypted, and not sent yet.
    output: Vec<u8>,
    sent: usize,
    /// What came, encrypted.
    input: Box<[u8]>,
}

/// A record of TLS with its head and its seal (RFC 8446, section 5.2) fits.
const INPUT_BYTES: usize = 32 << 10;
/// As much is encrypted before it has to be sent.
const MOST_BYTES: usize = 64 << 10;

impl Encrypted {
    pub(crate) fn new(stream: Stream, tls: Held) -> Encrypted {
        Encrypted { stream, tls, output: Vec::new(), sent: 0, input: vec![0; INPUT_BYTES].into_boxed_slice() }
    }

    /// Sends what is encrypted, also what TLS itself has to say.
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.sent < self.output.len() {
                match self.stream.poll_write(cx, &self.output[self.sent..]) {
                    Poll::Ready(Ok(length)) => self.sent += length,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            self.output.clear();
            self.sent = 0;
            // SAFETY: a loop polls its tasks inside an entry.
            unsafe { self.take_output().map_err(|Raised| raised::as_io())? };
            if self.output.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    unsafe fn take_output(&mut self) -> Result<()> {
        let bytes = ask(c"output", &[self.tls.as_ptr()])?;
        self.output.extend_from_slice(bytes_of(bytes.as_ptr())?);
        Ok(())
    }

    /// What is here, decrypted; none where more has to come first.
    unsafe fn decrypted(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        let most = integer(buffer.len() as u64)?;
        let bytes = ask(c"read", &[self.tls.as_ptr(), most.as_ptr()])?;
        if ptr::eq(bytes.as_ptr(), ffi::Py_None()) {
            return Ok(None);
        }
        let bytes = bytes_of(bytes.as_ptr())?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(Some(bytes.len()))
    }

    unsafe fn feed(&mut self, length: usize) -> Result<()> {
        let bytes: Owned = bytes_object(&self.input[..length])?;
        ask(c"feed", &[self.tls.as_ptr(), bytes.as_ptr()]).map(drop)
    }

    unsafe fn encrypt(&mut self, bytes: &[u8]) -> Result<()> {
        let bytes = bytes_object(bytes)?;
        ask(c"write", &[self.tls.as_ptr(), bytes.as_ptr()])?;
        self.take_output()
    }
}

impl Wire for Encrypted {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Err(error)) = self.flush(cx) {
            return Poll::Ready(Err(error));
        }
        loop {
            // SAFETY: a loop polls its tasks inside an entry.
            if let Some(length) = unsafe { self.decrypted(buffer).map_err(|Raised| raised::as_io())? } {
                return Poll::Ready(Ok(length));
            }
            let length = match self.stream.poll_read(cx, &mut self.input) {
                Poll::Ready(Ok(length)) => length,
                other => return other,
            };
            // SAFETY: as above.
            unsafe { self.feed(length).map_err(|Raised| raised::as_io())? };
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.flush(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
        let taken = &bytes[..bytes.len().min(MOST_BYTES)];
        // SAFETY: as above.
        unsafe { self.encrypt(taken).map_err(|Raised| raised::as_io())? };
        // What cannot be sent now is when there is room: the stream wakes this task, which reads, and so comes here again.
        if let Poll::Ready(Err(error)) = self.flush(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken.len()))
    }
}
