//! What a small guest needs beside its functions: two macros.
//!
//! - [`runtime!`]: allocator and panic handler, so that a `no_std` plugin imports nothing at all from its host.
//! - [`embed_wit!`]: carries the documented WIT in the binary, because the component encoding drops comments.
#![no_std]

extern crate alloc;

use alloc::alloc::{Layout, alloc, handle_alloc_error, realloc};

// Only for `memcmp` and its like, which the compiler calls and core does not bring along.
#[link(name = "c")]
unsafe extern "C" {}

#[doc(hidden)]
pub use dlmalloc::GlobalDlmalloc;

/// Sets the allocator, the panic handler and the canonical `cabi_realloc`, which std would bring along, of a `no_std`
/// plugin. Once per plugin, at the crate's root.
///
/// A panic becomes a plain trap: without WASI there is nowhere to write its message.
#[macro_export]
macro_rules! runtime {
    () => {
        #[global_allocator]
        static ALLOCATOR: $crate::GlobalDlmalloc = $crate::GlobalDlmalloc;

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
