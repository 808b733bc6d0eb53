//! A socket on a loop, as a connection's stream of bytes: the loop says when it is ready, and nothing else of asyncio's is in the way.
//!
//! One of asyncio's transports calls two methods of Python's for each read and copies what was read into an object; here a read
//! is one call by the loop, and a write is none.

use std::ffi::CStr;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use pyo3_ffi as ffi;
use tierce::runtime::Wire;

use super::attached::{attach, cleared};
use super::event_loop::Loop;
use super::held::Held;
use super::hook::hook;
use super::lock::locked;
use crate::owned::{Owned, Raised, Result, ask};
use crate::raised;

/// A connected socket of any family, without waiting; one of TCP by its type, since that is what sends without a signal
/// (`send` with `MSG_NOSIGNAL`) to an end that is closed.
pub(crate) struct Stream {
    socket: TcpStream,
    /// asyncio's loop.
    object: Held,
    home: Weak<Loop>,
    readable: Arc<Ready>,
    /// While the loop was asked to say when the socket takes more.
    writable: Option<Arc<Ready>>,
}

/// Whether one direction may go on, and who is to be told.
#[derive(Default)]
struct Ready {
    is: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Ready {
    fn set(&self) -> Option<Waker> {
        self.is.store(true, Ordering::Release);
        locked(&self.waker).take()
    }

    /// Whether it may go on; if not, this task is woken when it may.
    fn poll(&self, cx: &Context<'_>) -> bool {
        if self.is.load(Ordering::Acquire) {
            return true;
        }
        let older = locked(&self.waker).replace(cx.waker().clone());
        drop(older);
        self.is.load(Ordering::Acquire)
    }
}

impl Stream {
    /// The loop calls whenever there is something to read.
    pub(crate) unsafe fn on(home: &Arc<Loop>, socket: OwnedFd) -> Result<Stream> {
        let socket = TcpStream::from(socket);
        let readable = Arc::new(Ready::default());
        let (object, home) = (home.object.clone(), Arc::downgrade(home));
        let stream = Stream { socket, object, home, readable: Arc::clone(&readable), writable: None };
        stream.watch(c"add_reader", readable)?;
        Ok(stream)
    }

    unsafe fn number(&self) -> Result<Owned> {
        Owned::steal(ffi::PyLong_FromLong(self.socket.as_raw_fd().into()))
    }

    unsafe fn watch(&self, how: &'static CStr, ready: Arc<Ready>) -> Result<()> {
        let home = self.home.clone();
        let rings = hook(move || match (home.upgrade(), ready.set()) {
            (Some(home), Some(waker)) => home.called(|| waker.wake()),
            _ => Ok(()),
        })?;
        let number = self.number()?;
        ask(how, &[self.object.as_ptr(), number.as_ptr(), rings.as_ptr()]).map(drop)
    }

    unsafe fn unwatch(&self, how: &'static CStr) {
        let before = raised::raised();
        let said = self.number().and_then(|number| ask(how, &[self.object.as_ptr(), number.as_ptr()]));
        if said.is_err() {
            // A loop that is closed watches nothing any more.
            cleared(self.object.as_ptr());
        }
        raised::restore(before);
    }

    /// Is told when the socket takes more.
    fn await_room(&mut self, cx: &Context<'_>) -> io::Result<()> {
        let ready = Arc::new(Ready::default());
        ready.poll(cx);
        // SAFETY: a loop polls its tasks inside an entry.
        unsafe { self.watch(c"add_writer", Arc::clone(&ready)).map_err(|Raised| raised::as_io())? };
        self.writable = Some(ready);
        Ok(())
    }
}

impl Wire for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.readable.poll(cx) {
            return Poll::Pending;
        }
        loop {
            match self.socket.read(buffer) {
                Ok(length) => {
                    // A short read has emptied it. If more came since, the loop says so.
                    if length < buffer.len() {
                        self.readable.is.store(false, Ordering::Release);
                    }
                    return Poll::Ready(Ok(length));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable.is.store(false, Ordering::Release);
                    self.readable.poll(cx);
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(ready) = &self.writable {
            if !ready.poll(cx) {
                return Poll::Pending;
            }
            self.writable = None;
            // SAFETY: as in `await_room`.
            unsafe { self.unwatch(c"remove_writer") };
        }
        loop {
            match self.socket.write(bytes) {
                Ok(length) => return Poll::Ready(Ok(length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return match self.await_room(cx) {
                        Ok(()) => Poll::Pending,
                        Err(error) => Poll::Ready(Err(error)),
                    };
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Drop for Stream {
    /// Before the socket is closed: its number may be another's a moment later.
    fn drop(&mut self) {
        attach(|| {
            // SAFETY: the interpreter's lock is held.
            unsafe {
                self.unwatch(c"remove_reader");
                if self.writable.is_some() {
                    self.unwatch(c"remove_writer");
                }
            }
        });
    }
}
