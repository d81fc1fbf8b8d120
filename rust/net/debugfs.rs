// SPDX-License-Identifier: GPL-2.0

//! Files in `/sys/kernel/debug/`.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)
//!
//! Differs from `kernel::debugfs` in two points. Files there have no owner: after `rmmod` an open
//! file calls functions that are gone. And they copy to user memory while the file is in use, so
//! that their removal waits for a page fault that may never end. Here an open file holds the
//! module, as with `DEFINE_SHOW_STORE_ATTRIBUTE()`, and is in use only while its text is generated.

use super::bindings;
use core::{cell::Cell, marker::PhantomData};
use kernel::{
    fmt,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::CStr,
    uaccess::{UserPtr, UserSlice}, //
};

/// A file that root can read, and write if it has `store`.
///
/// Both functions run in process context, and the removal of the file waits for them: they must not
/// take a lock that is held when a [`Dir`] is dropped (RTNL, for example).
pub struct File<D: 'static> {
    /// The name of the file.
    pub name: &'static CStr,
    /// Writes the text. The reader gets `ENOMEM` for an error.
    pub show: fn(&D, &mut fmt::Formatter<'_>) -> fmt::Result,
    /// Handles a written line, without its end.
    pub store: Option<fn(&D, &str) -> Result>,
}

/// The data that `i_private` of a file points to.
struct Private<D: 'static> {
    data: D,
    file: &'static File<D>,
}

/// A directory and its files: `debugfs_create_dir()`, `debugfs_create_file_unsafe()`. Dropping it
/// removes them and waits for `show` and `store`.
///
/// # Invariants
///
/// `dentry` is a directory of debugfs or an error. The files below it refer to the elements of
/// `files`, which do not move.
pub struct Dir<D: Send + Sync + 'static> {
    dentry: *mut bindings::dentry,
    files: KVec<Private<D>>,
}

// SAFETY: The C functions for a `dentry` may be called by any thread, and `D` is `Send`.
unsafe impl<D: Send + Sync> Send for Dir<D> {}
// SAFETY: No method takes a shared reference.
unsafe impl<D: Send + Sync> Sync for Dir<D> {}

impl<D: Clone + Send + Sync> Dir<D> {
    /// Creates a directory in the root of debugfs, with `files`, each with a clone of `data`.
    /// Process context. Fails only with `ENOMEM`: as usual with debugfs, files that cannot be
    /// created are no error.
    pub fn new(name: &CStr, files: &'static [File<D>], data: &D) -> Result<Self> {
        let mut privates = KVec::with_capacity(files.len(), GFP_KERNEL_ACCOUNT)?;
        for file in files {
            let data = data.clone();
            privates.push(Private { data, file }, GFP_KERNEL_ACCOUNT)?;
        }
        // SAFETY: The name is NUL-terminated; null stands for the root.
        let dentry = unsafe {
            bindings::rust_helper_debugfs_create_dir(name.as_char_ptr(), core::ptr::null_mut())
        };
        // INVARIANT: Nothing is added to `privates` from now on, and they are on the heap.
        let this = Self {
            dentry,
            files: privates,
        };
        for private in this.files.iter() {
            let mode = if private.file.store.is_some() {
                0o600
            } else {
                0o400
            };
            // SAFETY: The name is NUL-terminated, and `dentry` is a directory or an error, which C
            // accepts. `private` lives until `drop` has removed the file, and the functions of
            // `OPERATIONS` use it only between `debugfs_file_get()` and `debugfs_file_put()`.
            unsafe {
                bindings::rust_helper_debugfs_create_file_unsafe(
                    private.file.name.as_char_ptr(),
                    mode,
                    this.dentry,
                    core::ptr::from_ref(private).cast_mut().cast(),
                    Operations::<D>::TABLE,
                );
            }
        }
        Ok(this)
    }
}

impl<D: Send + Sync> Drop for Dir<D> {
    fn drop(&mut self) {
        // SAFETY: It is a directory or an error. Waits for calls between `debugfs_file_get()` and
        // `debugfs_file_put()`; later ones fail.
        unsafe { bindings::rust_helper_debugfs_remove(self.dentry) };
    }
}

/// Text that records whether it could be written.
struct Text<'a, D: 'static> {
    private: &'a Private<D>,
    failed: Cell<bool>,
}

impl<D> fmt::Display for Text<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = (self.private.file.show)(&self.private.data, f);
        self.failed.set(shown.is_err());
        Ok(())
    }
}

/// Maximum length of a write in bytes.
const LINE: usize = 64;

/// Builds the `struct file_operations` of files of `D`.
struct Operations<D>(PhantomData<D>);

impl<D: Send + Sync + 'static> Operations<D> {
    const OPERATIONS: bindings::file_operations = {
        let mut operations: bindings::file_operations = pin_init::zeroed();
        operations.owner = crate::THIS_MODULE.as_ptr().cast();
        operations.open = Some(Self::open);
        operations.read = Some(bindings::seq_read);
        operations.write = Some(Self::write);
        operations.llseek = Some(bindings::seq_lseek);
        operations.release = Some(bindings::single_release);
        operations
    };

    const TABLE: &'static bindings::file_operations = &Self::OPERATIONS;

    /// Calls `function` with the data of a file, or fails if the file has been removed.
    ///
    /// # Safety
    ///
    /// `file` must be an open file whose `f_op` are these.
    unsafe fn with<R>(
        file: *mut bindings::file,
        function: impl FnOnce(&Private<D>) -> Result<R>,
    ) -> Result<R> {
        // SAFETY: An open file has a dentry and an inode, whose `i_private` does not change.
        let (dentry, private) = unsafe {
            let dentry = (*file).__bindgen_anon_1.f_path.dentry;
            (dentry, (*(*file).f_inode).i_private)
        };
        // SAFETY: `open_proxy_open()` has set `d_fsdata` before it called `open`, and the file
        // keeps the dentry.
        let got = unsafe { bindings::rust_helper_debugfs_file_get(dentry) };
        kernel::error::to_result(got)?;
        // SAFETY: By the invariants of `Dir` it points to an element of `files` until the file is
        // removed, which waits for `debugfs_file_put()`.
        let result = function(unsafe { &*private.cast() });
        // SAFETY: Paired with `debugfs_file_get()`.
        unsafe { bindings::rust_helper_debugfs_file_put(dentry) };
        result
    }

    /// # Safety
    ///
    /// Called by the core to open a file that [`Dir::new`] has created.
    unsafe extern "C" fn open(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The file is valid.
        unsafe { bindings::single_open(file, Some(Self::show), core::ptr::null_mut()) }
    }

    /// # Safety
    ///
    /// Called by `seq_read()` for a file that `open` has opened.
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: `seq` is valid, and `single_open()` has set its file.
        let file = unsafe { (*seq).file };
        // SAFETY: `seq` is valid during this call and exclusive to it.
        let seq = unsafe { SeqFile::from_raw(seq.cast()) };
        let show = |private: &Private<D>| {
            let text = Text {
                private,
                failed: Cell::new(false),
            };
            seq_print!(seq, "{}", text);
            if text.failed.get() {
                Err(ENOMEM)
            } else {
                Ok(())
            }
        };
        // SAFETY: The file was opened by `open`, so `f_op` are these.
        match unsafe { Self::with(file.cast_mut(), show) } {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Called by the core for a file that `open` has opened.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buf: *const c_char,
        count: usize,
        _: *mut bindings::loff_t,
    ) -> isize {
        let write = || -> Result {
            let mut line = [0u8; LINE];
            let line = line.get_mut(..count).ok_or(EINVAL)?;
            // A page fault may never end, so user memory is read before the file is in use.
            let user = UserPtr::from_ptr(buf.cast_mut().cast());
            UserSlice::new(user, count).reader().read_slice(line)?;
            let line = core::str::from_utf8(line).map_err(|_| EINVAL)?.trim();
            let store = |private: &Private<D>| {
                let store = private.file.store.ok_or(EINVAL)?;
                store(&private.data, line)
            };
            // SAFETY: The file was opened by `open`, so `f_op` are these.
            unsafe { Self::with(file, store) }
        };
        match write() {
            Ok(()) => count as isize,
            Err(error) => error.to_errno() as isize,
        }
    }
}
