//! A connection that is being opened: a task of asyncio's does it (`face/tierce/streams.py`), and gives the socket.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use pyo3_ffi as ffi;
use tierce::runtime::{Endpoint, Wire};

use super::attached::{attach, cleared};
use super::done::Done;
use super::encrypted::Encrypted;
use super::event_loop::Loop;
use super::held::Held;
use super::names::names;
use super::stream::Stream;
use crate::owned::{Owned, Raised, Result, ask, none, text};
use crate::raised;

pub(crate) struct Dialing {
    to: Endpoint,
    home: Weak<Loop>,
    task: Option<Held>,
    done: Arc<Done>,
}

impl Dialing {
    pub(crate) fn new(home: Weak<Loop>, to: Endpoint) -> Dialing {
        Dialing { to, home, task: None, done: Arc::default() }
    }

    unsafe fn begin(&mut self, home: &Arc<Loop>) -> Result<()> {
        let arguments = match &self.to {
            Endpoint::Tcp(host, port) => [text(host)?, port_object(*port)?, none()],
            Endpoint::Tls(host, port, tls) => {
                let path = |path: &std::path::Path| text(&path.to_string_lossy());
                let (ca, name) = (tls.ca_file.as_deref().map(path), tls.server_name.as_deref().map(|name| text(name)));
                let identity = tls.identity_files.as_ref().map(|(own, key)| (path(own), path(key)));
                let (own, key) = identity.unzip();
                let or_none = |said: Option<Result<Owned>>| said.unwrap_or_else(|| Ok(none()));
                let tls = crate::owned::tuple([or_none(ca)?, or_none(own)?, or_none(key)?, or_none(name)?])?;
                [text(host)?, port_object(*port)?, tls]
            }
            Endpoint::Unix(path) => [text(&path.to_string_lossy())?, none(), none()],
            _ => return Err(crate::owned::type_error(c"this place is of a kind that is not known here")),
        };
        let pointers = [&arguments[0], &arguments[1], &arguments[2]].map(Owned::as_ptr);
        let begin = names()?.dial.as_ptr();
        let task = Owned::steal(ffi::PyObject_Vectorcall(begin, pointers.as_ptr(), 3, ptr::null_mut()))?;
        self.task = Some(Held::new(task.clone()));
        self.done.watch(home, &task)
    }

    /// What the task brought: the socket, and what encrypts.
    unsafe fn opened(&mut self, home: &Arc<Loop>) -> Result<Box<dyn Wire>> {
        let Some(task) = self.task.take() else { return Err(crate::owned::type_error(c"it was given up")) };
        if ptr::eq(ask(c"cancelled", &[task.as_ptr()])?.as_ptr(), ffi::Py_True()) {
            // Its loop shuts down, and cancels all that runs.
            return Err(crate::owned::type_error(c"its task was cancelled"));
        }
        let brought = ask(c"result", &[task.as_ptr()])?;
        let (socket, tls) = (ffi::PyTuple_GetItem(brought.as_ptr(), 0), ffi::PyTuple_GetItem(brought.as_ptr(), 1));
        let number = ask(c"detach", &[socket])?;
        let number = i32::try_from(ffi::PyLong_AsLong(number.as_ptr())).unwrap_or(-1);
        if number < 0 {
            return Err(crate::owned::type_error(c"the socket was closed meanwhile"));
        }
        let stream = Stream::on(home, OwnedFd::from_raw_fd(number))?;
        if ptr::eq(tls, ffi::Py_None()) {
            return Ok(Box::new(stream));
        }
        Ok(Box::new(Encrypted::new(stream, Held::new(Owned::share(tls)))))
    }
}

unsafe fn port_object(port: u16) -> Result<Owned> {
    crate::owned::integer(port.into())
}

impl Future for Dialing {
    type Output = io::Result<Box<dyn Wire>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(home) = self.home.upgrade() else { return Poll::Pending };
        // SAFETY: a loop polls its tasks inside an entry.
        unsafe {
            if self.task.is_none() && self.begin(&home).is_err() {
                return Poll::Ready(Err(raised::as_io()));
            }
            if !self.done.poll(cx) {
                return Poll::Pending;
            }
            Poll::Ready(self.opened(&home).map_err(|Raised| raised::as_io()))
        }
    }
}

impl Drop for Dialing {
    /// Given up before its end: the socket, if there is one by now, closes with the task's result.
    fn drop(&mut self) {
        self.done.leave();
        let Some(task) = self.task.take() else { return };
        attach(|| {
            // SAFETY: the interpreter's lock is held.
            unsafe {
                let before = raised::raised();
                if ask(c"cancel", &[task.as_ptr()]).is_err() {
                    // Its loop is closed, and with it all that it did.
                    cleared(task.as_ptr());
                }
                raised::restore(before);
            }
        });
    }
}
