//! Several objects behind one thin pointer: the arguments of a call, as a key keeps them.
//!
//! A boxed slice is two words, and an entry has room for one (`key.rs`).

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

use crate::owned::{Owned, PyObject};
use pyo3_ffi as ffi;

#[repr(C)]
struct Head {
    count: u32,
    /// So many of them, the last, are names of keyword arguments.
    named: u32,
}

/// References that are given back together.
pub(crate) struct Parts(NonNull<Head>);

impl Parts {
    /// Keeps references of its own to `values`, then to the names, which are the items of a tuple or nothing.
    pub(crate) unsafe fn new(values: &[*mut PyObject], names: *mut PyObject, named: u32) -> Parts {
        let more = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) as usize };
        let count = values.len() + more;
        let layout = layout(count);
        let head = NonNull::new(alloc(layout).cast::<Head>()).unwrap_or_else(|| handle_alloc_error(layout));
        head.write(Head { count: u32::try_from(count).expect("no call has so many arguments"), named });
        let items = items_of(head);
        for (at, value) in values.iter().enumerate() {
            items.add(at).write(Owned::share(*value).into_ptr());
        }
        for at in 0..more {
            let name = ffi::PyTuple_GetItem(names, at as ffi::Py_ssize_t);
            items.add(values.len() + at).write(Owned::share(name).into_ptr());
        }
        Parts(head)
    }

    #[inline]
    pub(crate) fn items(&self) -> &[*mut PyObject] {
        // SAFETY: `new` has written `count` items behind the head.
        unsafe { std::slice::from_raw_parts(items_of(self.0), self.0.as_ref().count as usize) }
    }

    #[inline]
    pub(crate) fn named(&self) -> u32 {
        // SAFETY: the head is written, and ours.
        unsafe { self.0.as_ref().named }
    }
}

impl Clone for Parts {
    fn clone(&self) -> Self {
        // SAFETY: we own references to all of the items.
        unsafe { Parts::new(self.items(), ptr::null_mut(), self.named()) }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // SAFETY: each reference is given back once; the memory was allocated by `new` with the same layout.
        unsafe {
            for item in self.items() {
                ffi::Py_DECREF(*item);
            }
            dealloc(self.0.as_ptr().cast(), layout(self.items().len()));
        }
    }
}

fn layout(count: usize) -> Layout {
    let items = Layout::array::<*mut PyObject>(count).expect("no call has so many arguments");
    Layout::new::<Head>().extend(items).expect("no call has so many arguments").0.pad_to_align()
}

#[inline]
unsafe fn items_of(head: NonNull<Head>) -> *mut *mut PyObject {
    // The head is as large as one item is aligned: they follow it without a gap.
    head.as_ptr().add(1).cast()
}
