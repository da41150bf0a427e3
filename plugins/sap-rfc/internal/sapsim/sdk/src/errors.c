/* Errors and texts. */
#include "sim.h"
#include <string.h>

static void put(UC *to, size_t room, const char *from) {
  size_t i = 0;
  for (; from[i] && i + 1 < room; i++) to[i] = (unsigned char)from[i];
  to[i] = 0;
}

static void copy(UC *to, size_t room, const UC *from, size_t length) {
  size_t i = 0;
  for (; i < length && i + 1 < room; i++) to[i] = from[i];
  to[i] = 0;
}

static size_t count(const UC *text) {
  size_t n = 0;
  while (text[n]) n++;
  return n;
}

static int same(const UC *a, const UC *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static int is(const UC *a, const char *b) {
  while (*b && *a == (unsigned char)*b) a++, b++;
  return *a == (unsigned char)*b;
}

/* more fills what a struct has beyond its known members. */
static void more(void *appended) {
#if APPENDED
  memset(appended, 0xAA, APPENDED);
#else
  (void)appended;
#endif
}

static RC succeed(ERR *e) {
  if (e) {
    memset(e, 0, sizeof *e);
    more(e->more);
  }
  return rcOK;
}

static RC fail(ERR *e, RC code, RC group, const char *key, const char *message) {
  if (e) {
    succeed(e);
    e->code = code;
    e->group = group;
    put(e->key, 128, key);
    put(e->message, 512, message);
  }
  return code;
}
