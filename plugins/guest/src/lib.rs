//! What a small guest needs beside its functions: two macros.
//!
//! - [`runtime!`]: allocator and panic handler, so that a `no_std` plugin imports nothing at all from its host.
//! - [`embed_wit!`]: carries the documented WIT in the binary, because the component encoding drops comments.
#![no_std]

extern crate alloc;

use alloc::alloc::{GlobalAlloc, Layout, alloc, handle_alloc_error, realloc};
use core::ffi::c_void;

// Of WASI's C library only the allocator, and `memcmp` and its like, which the compiler calls and
// core does not bring along. None of it imports anything.
#[link(name = "c")]
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    #[link_name = "realloc"]
    fn c_realloc(old: *mut c_void, size: usize) -> *mut c_void;
    fn free(old: *mut c_void);
}

/// The C library's allocator. It begins with the memory that an instance has anyway, which others
/// leave alone: an instance that grows its memory costs its host two changes of the page table,
/// which made a short call twice as dear.
#[doc(hidden)]
pub struct Allocator;

/// What `malloc` aligns to; what std, too, relies on.
const ALIGNED: usize = 8;

// SAFETY: the C functions keep the contract: what they give is aligned as asked and large enough,
// null says that there is no memory, and they never unwind.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (align, size) = (layout.align(), layout.size());
        // SAFETY: any size may be asked for; an alignment is a power of two.
        let new =
            unsafe { if align <= ALIGNED { malloc(size) } else { aligned_alloc(align, size) } };
        new.cast()
    }

    unsafe fn dealloc(&self, old: *mut u8, _: Layout) {
        // SAFETY: by contract it came from here, and so from one of the three above.
        unsafe { free(old.cast()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGNED {
            // SAFETY: any size may be asked for.
            return unsafe { calloc(1, layout.size()).cast() };
        }
        // SAFETY: the contract is the same.
        let new = unsafe { self.alloc(layout) };
        if !new.is_null() {
            // SAFETY: it has this many bytes, which nobody else knows of.
            unsafe { new.write_bytes(0, layout.size()) };
        }
        new
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGNED {
            // SAFETY: by contract `old` came from here.
            return unsafe { c_realloc(old.cast(), size).cast() };
        }
        // SAFETY: the caller promises that `size` fits the alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both have this many bytes, and the new one is nobody else's yet.
            unsafe { new.copy_from_nonoverlapping(old, layout.size().min(size)) };
            // SAFETY: by contract `old` came from here.
            unsafe { self.dealloc(old, layout) };
        }
        new
    }
}

/// Sets the allocator, the panic handler and the canonical `cabi_realloc`, which std would bring along, of a `no_std`
/// plugin. Once per plugin, at the crate's root.
///
/// A panic becomes a plain trap: without WASI there is nowhere to write its message.
#[macro_export]
macro_rules! runtime {
    () => {
        #[global_allocator]
        static ALLOCATOR: $crate::Allocator = $crate::Allocator;

        #[panic_handler]
        fn panic(_: &::core::panic::PanicInfo) -> ! {
            ::core::arch::wasm32::unreachable()
        }

        /// Where the host asks for room for arguments.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn cabi_realloc(
            old: *mut u8,
            old_size: usize,
            align: usize,
            size: usize,
        ) -> *mut u8 {
            // SAFETY: the component runtime calls this under the canonical ABI's contract, which is `resize`'s.
            unsafe { $crate::resize(old, old_size, align, size) }
        }
    };
}

/// Puts a WIT file (path as for `include_bytes!`) into the custom section `jackfield:wit` of the plugin.
///
/// The section's content is the file's UTF-8 text, nothing else. A host reads documentation, parameter names and the
/// names of types out of it; a plugin without the section works the same, only undocumented.
#[macro_export]
macro_rules! embed_wit {
    ($path:literal) => {
        #[used]
        #[unsafe(link_section = "jackfield:wit")]
        static WIT: [u8; include_bytes!($path).len()] = *include_bytes!($path);
    };
}

/// The canonical ABI's `realloc`: makes room, or enlarges what it gave before.
///
/// # Safety
/// `old` is null with `old_size` 0, or came from here with `old_size` and `align`; `align` is a power of two.
#[doc(hidden)]
pub unsafe fn resize(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    if size == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    // SAFETY: `align` is a power of two by contract, and a wasm32 size above isize::MAX fails in the allocator.
    let layout = |size| unsafe { Layout::from_size_align_unchecked(size, align) };
    // SAFETY: `size` is not zero here; `old` fits `old_size` and `align` by contract.
    let new = unsafe {
        if old_size == 0 { alloc(layout(size)) } else { realloc(old, layout(old_size), size) }
    };
    if new.is_null() {
        handle_alloc_error(layout(size));
    }
    new
}
