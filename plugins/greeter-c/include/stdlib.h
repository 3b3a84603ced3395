// What the generated bindings need of <stdlib.h>. The functions come from the libc.a of Rust's wasm32-wasip2 target,
// which ships no headers; none of them needs WASI.
#pragma once
#include <stddef.h>

void *malloc(size_t size);
void *realloc(void *old, size_t size);
void free(void *old);
_Noreturn void abort(void);
