// The functions that wit/plugin.wit promises, as build/plugin.h declares them.
//
// Arguments belong to the callee: each function frees what it was given. Answers are freed by the bindings.

#include "plugin.h"
#include <stdlib.h>
#include <string.h>

static const char HELLO[] = "Hello";

void exports_plugin_greet(plugin_string_t *name, plugin_string_t *maybe_greeting, plugin_string_t *ret) {
  const char *greeting = maybe_greeting ? (const char *)maybe_greeting->ptr : HELLO;
  size_t len = maybe_greeting ? maybe_greeting->len : strlen(HELLO);
  ret->len = len + 2 + name->len + 1;
  ret->ptr = malloc(ret->len);
  if (!ret->ptr) abort();
  memcpy(ret->ptr, greeting, len);
  memcpy(ret->ptr + len, ", ", 2);
  memcpy(ret->ptr + len + 2, name->ptr, name->len);
  ret->ptr[ret->len - 1] = '!';
  if (maybe_greeting) plugin_string_free(maybe_greeting);
  plugin_string_free(name);
}

bool exports_plugin_divide(int32_t a, int32_t b, int32_t *ret, plugin_string_t *err) {
  if (b == 0) {
    plugin_string_dup(err, "division by zero");
    return false;
  }
  if (a == INT32_MIN && b == -1) {
    plugin_string_dup(err, "the result has more than 32 bits");
    return false;
  }
  *ret = a / b;
  return true;
}
