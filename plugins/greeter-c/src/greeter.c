// The small world that exists in every language, in C. Documented in ../greeter/wit/greeter.wit.
//
// Arguments belong to the callee: each function frees what it was given. Answers are freed by the bindings.

#include "greeter.h"
#include <stdlib.h>
#include <string.h>

static const char HELLO[] = "Hello";

// Carries the documented WIT in the binary, where a host looks for it.
__asm__(".section \".custom_section.jackfield:wit\",\"\",@\n"
        ".incbin \"" WIT_FILE "\"\n");

// Makes "GREETING, NAME!".
static void salute(const char *greeting, size_t greeting_len, const greeter_string_t *name, greeter_string_t *ret) {
  ret->len = greeting_len + 2 + name->len + 1;
  ret->ptr = malloc(ret->len);
  if (!ret->ptr) abort();
  uint8_t *at = ret->ptr;
  memcpy(at, greeting, greeting_len);
  at += greeting_len;
  memcpy(at, ", ", 2);
  at += 2;
  memcpy(at, name->ptr, name->len);
  at[name->len] = '!';
}

void exports_greeter_greet(greeter_string_t *name, greeter_string_t *maybe_greeting, greeter_string_t *ret) {
  if (maybe_greeting) {
    salute((const char *)maybe_greeting->ptr, maybe_greeting->len, name, ret);
    greeter_string_free(maybe_greeting);
  } else {
    salute(HELLO, strlen(HELLO), name, ret);
  }
  greeter_string_free(name);
}

void exports_greeter_greet_all(greeter_list_string_t *names, greeter_list_string_t *ret) {
  ret->len = names->len;
  // Never null, not even for an empty list: the canonical ABI wants an aligned pointer.
  ret->ptr = names->len ? malloc(names->len * sizeof *ret->ptr) : (greeter_string_t *)sizeof(void *);
  if (!ret->ptr) abort();
  for (size_t i = 0; i < names->len; i++) salute(HELLO, strlen(HELLO), &names->ptr[i], &ret->ptr[i]);
  greeter_list_string_free(names);
}

int32_t exports_greeter_add(int32_t a, int32_t b) {
  // Unsigned arithmetic wraps around; signed overflow would be undefined.
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

void exports_greeter_language(greeter_string_t *ret) {
  greeter_string_dup(ret, "C");
}
