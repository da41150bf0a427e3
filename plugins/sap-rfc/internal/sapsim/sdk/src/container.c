/* Containers, and the functions that set and get what is in them. */
#include "sim.h"
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

static void *zeroed(size_t n) {
  void *p = calloc(1, n ? n : 1);
  if (!p) abort();
  return p;
}

static FIELD *fieldOf(TYPE *t, const UC *name) {
  for (uint32_t i = 0; i < t->count; i++)
    if (same(t->fields[i].name, name)) return &t->fields[i];
  return NULL;
}

static CONTAINER *newContainer(TYPE *t, uint32_t magic) {
  CONTAINER *c = zeroed(sizeof *c);
  c->magic = magic;
  c->type = t;
  if (magic != mTABLE) c->slots = zeroed(t->count * sizeof *c->slots);
  return c;
}

static void freeContainer(CONTAINER *c) {
  if (!c) return;
  if (c->slots)
    for (uint32_t i = 0; i < c->type->count; i++) {
      free(c->slots[i].text);
      freeContainer(c->slots[i].child);
    }
  for (uint32_t i = 0; i < c->count; i++) freeContainer(c->rows[i]);
  free(c->slots);
  free(c->rows);
  c->magic = 0;
  free(c);
}

static CONTAINER *addRow(CONTAINER *t) {
  if (t->count == t->room) {
    t->room = 2 * t->room + 8;
    t->rows = realloc(t->rows, t->room * sizeof *t->rows);
    if (!t->rows) abort();
  }
  t->cursor = t->count;
  return t->rows[t->count++] = newContainer(t->type, mSTRUCTURE);
}

/* open checks a handle. A table stands for its current row. */
static RC open(CONTAINER **c, ERR *e) {
  if (!*c || ((*c)->magic != mFUNCTION && (*c)->magic != mSTRUCTURE && (*c)->magic != mTABLE))
    return fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", "An invalid handle was passed to the API call");
  if ((*c)->magic == mTABLE) {
    if ((*c)->cursor >= (*c)->count) return fail(e, rcEOF, 5, "RFC_TABLE_MOVE_EOF", "The table has no current row");
    *c = (*c)->rows[(*c)->cursor];
  }
  return rcOK;
}

static SLOT *slotOf(CONTAINER *c, const UC *name, FIELD **f) {
  *f = fieldOf(c->type, name);
  return *f ? &c->slots[*f - c->type->fields] : NULL;
}

/* find returns a field by its name, which has to be in upper case. */
static RC find(CONTAINER *c, const UC *name, FIELD **f, SLOT **s, ERR *e) {
  RC rc = open(&c, e);
  if (rc) return rc;
  if ((*s = slotOf(c, name, f))) return succeed(e);
  char text[80];
  size_t i = 0;
  for (; name[i] && i < 30; i++) text[i] = name[i] < 127 ? (char)name[i] : '?';
  text[i] = 0;
  char message[120];
  snprintf(message, sizeof message, "field '%s' not found", text);
  return fail(e, rcINVALID_PARAMETER, 5, "RFC_INVALID_PARAMETER", message);
}

static RC conversion(ERR *e, const char *why) { return fail(e, rcCONVERSION, 5, "RFC_CONVERSION_FAILURE", why); }

static RC store(SLOT *s, const UC *value, size_t n, ERR *e) {
  UC *text = zeroed(2 * (n + 1));
  memcpy(text, value, 2 * n); /* the caller's own may be gone soon */
  free(s->text);
  s->text = text;
  s->length = (uint32_t)n;
  s->set = 1;
  return succeed(e);
}

static int digits(const UC *value, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (value[i] < '0' || value[i] > '9') return 0;
  return 1;
}

static int blank(const UC *value, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (value[i] != ' ') return 0;
  return 1;
}

/* number says that a text is a decimal number that fits a packed field. */
static int number(FIELD *f, const UC *value, size_t n) {
  size_t i = 0, whole = 0, fraction = 0;
  if (n && value[0] == '-') i++;
  for (; i < n && value[i] != '.'; i++, whole++)
    if (!digits(value + i, 1)) return 0;
  for (i++; i < n; i++, fraction++)
    if (!digits(value + i, 1)) return 0;
  return whole + fraction > 0 && fraction <= f->decimals && whole <= 2 * f->nuc - 1 - f->decimals;
}

static RC set(CONTAINER *c, FIELD *f, SLOT *s, const UC *value, size_t n, ERR *e) {
  int options = c->type->options;
  size_t room = f->uc / 2;
  switch (f->type) {
  case tCHAR:
    if (n > room) {
      if (!(options & optCutsLongText)) return conversion(e, "the text is longer than the field");
      n = room;
    }
    return store(s, value, n, e);
  case tNUM:
    if (!digits(value, n) || n > room || (n < room && (options & optShortNumbersRefused))) return conversion(e, "the value is no NUMC of this length");
    UC full[256];
    for (size_t i = 0; i < room; i++) full[i] = '0';
    memcpy(full + room - n, value, 2 * n);
    return store(s, full, room, e);
  case tDATE:
  case tTIME:
    if (n != room || !(digits(value, n) || blank(value, n))) return conversion(e, "the value is no date or time");
    return store(s, value, n, e);
  case tBCD:
    if (!number(f, value, n)) return conversion(e, "the value is no number of this length");
    return store(s, value, n, e);
  case tINT:
    if (!n || n > 11 || !digits(value + (value[0] == '-'), n - (value[0] == '-'))) return conversion(e, "the value is no integer");
    return store(s, value, n, e);
  case tSTRING:
    return store(s, value, n, e);
  }
  return conversion(e, "the field is of another type");
}

#define FOUND FIELD *f; SLOT *s; RC rc = find(c, name, &f, &s, e); if (rc) return rc
#define ONLY(condition) if (!(condition)) return conversion(e, "the field is of another type")
static int texts(FIELD *f) { return f->type == tCHAR || f->type == tNUM || f->type == tDATE || f->type == tTIME; }

RC RfcSetChars(CONTAINER *c, const UC *name, const UC *value, uint32_t n, ERR *e) { FOUND; ONLY(texts(f)); return set(c, f, s, value, n, e); }
RC RfcSetNum(CONTAINER *c, const UC *name, const UC *value, uint32_t n, ERR *e) { FOUND; ONLY(f->type == tNUM); return set(c, f, s, value, n, e); }
RC RfcSetString(CONTAINER *c, const UC *name, const UC *value, uint32_t n, ERR *e) { FOUND; return set(c, f, s, value, n, e); }
RC RfcSetDate(CONTAINER *c, const UC *name, const UC *value, ERR *e) { FOUND; ONLY(f->type == tDATE); return set(c, f, s, value, 8, e); }
RC RfcSetTime(CONTAINER *c, const UC *name, const UC *value, ERR *e) { FOUND; ONLY(f->type == tTIME); return set(c, f, s, value, 6, e); }
RC RfcSetInt(CONTAINER *c, const UC *name, int32_t value, ERR *e) {
  FOUND; ONLY(f->type == tINT || f->type == tBCD);
  char text[16];
  UC wide[16];
  put(wide, 16, (snprintf(text, sizeof text, "%d", (int)value), text));
  return set(c, f, s, wide, count(wide), e);
}

/* value is what a field holds, in full length where it has one. */
static size_t value(FIELD *f, SLOT *s, UC *to, size_t room) {
  size_t full = texts(f) ? f->uc / 2 : s->length, i = 0;
  if (f->type == tBCD || f->type == tINT) full = s->text ? s->length : 1;
  UC filler = f->type == tCHAR || f->type == tSTRING ? ' ' : '0';
  for (; i < full && i < room; i++) to[i] = i < s->length ? s->text[i] : filler;
  return full;
}

static RC getText(FIELD *f, SLOT *s, UC *to, size_t n, ERR *e) {
  size_t full = value(f, s, to, n);
  if (full > n) return fail(e, rcTOO_SMALL, 5, "RFC_BUFFER_TOO_SMALL", "the buffer is too small");
  for (; full < n; full++) to[full] = ' '; /* no zero at the end */
  return succeed(e);
}

RC RfcGetChars(CONTAINER *c, const UC *name, UC *to, uint32_t n, ERR *e) { FOUND; ONLY(texts(f)); return getText(f, s, to, n, e); }
RC RfcGetNum(CONTAINER *c, const UC *name, UC *to, uint32_t n, ERR *e) { FOUND; ONLY(f->type == tNUM); return getText(f, s, to, n, e); }
RC RfcGetDate(CONTAINER *c, const UC *name, UC *to, ERR *e) { FOUND; ONLY(f->type == tDATE); return getText(f, s, to, 8, e); }
RC RfcGetTime(CONTAINER *c, const UC *name, UC *to, ERR *e) { FOUND; ONLY(f->type == tTIME); return getText(f, s, to, 6, e); }
RC RfcGetInt(CONTAINER *c, const UC *name, int32_t *to, ERR *e) {
  FOUND; ONLY(f->type == tINT);
  char text[16] = "0";
  for (uint32_t i = 0; s->text && i < s->length && i < 15; i++) text[i] = (char)s->text[i], text[i + 1] = 0;
  *to = (int32_t)strtol(text, NULL, 10);
  return succeed(e);
}
RC RfcGetStringLength(CONTAINER *c, const UC *name, uint32_t *n, ERR *e) {
  FOUND; ONLY(f->type != tTABLE && f->type != tSTRUCTURE);
  *n = (uint32_t)value(f, s, NULL, 0);
  return succeed(e);
}
RC RfcGetString(CONTAINER *c, const UC *name, UC *to, uint32_t n, uint32_t *length, ERR *e) {
  FOUND; ONLY(f->type != tTABLE && f->type != tSTRUCTURE);
  *length = (uint32_t)value(f, s, NULL, 0);
  if (*length + 1 > n) return fail(e, rcTOO_SMALL, 5, "RFC_BUFFER_TOO_SMALL", "the buffer is too small");
  to[value(f, s, to, n)] = 0;
  return succeed(e);
}

static RC child(CONTAINER *c, FIELD *f, SLOT *s, CONTAINER **to) {
  (void)c;
  if (!s->child) s->child = newContainer(f->td, f->type == tTABLE ? mTABLE : mSTRUCTURE);
  *to = s->child;
  return rcOK;
}

RC RfcGetStructure(CONTAINER *c, const UC *name, CONTAINER **to, ERR *e) { FOUND; ONLY(f->type == tSTRUCTURE); s->set = 1; child(c, f, s, to); return succeed(e); }
RC RfcGetTable(CONTAINER *c, const UC *name, CONTAINER **to, ERR *e) { FOUND; ONLY(f->type == tTABLE); child(c, f, s, to); return succeed(e); }
RC RfcSetParameterActive(CONTAINER *c, const UC *name, int active, ERR *e) { FOUND; s->inactive = !active; return succeed(e); }

#define TABLE if (!t || t->magic != mTABLE) return fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", "no table")
RC RfcGetRowCount(CONTAINER *t, uint32_t *n, ERR *e) { TABLE; *n = t->count; return succeed(e); }
static RC moveTo(CONTAINER *t, uint32_t i, ERR *e) {
  TABLE;
  if (i >= t->count) return fail(e, rcEOF, 5, "RFC_TABLE_MOVE_EOF", "the table has no such row");
  t->cursor = i;
  return succeed(e);
}
RC RfcMoveTo(CONTAINER *t, uint32_t i, ERR *e) { return moveTo(t, i, e); }
RC RfcMoveToFirstRow(CONTAINER *t, ERR *e) { return moveTo(t, 0, e); }
RC RfcMoveToNextRow(CONTAINER *t, ERR *e) { TABLE; return moveTo(t, t->cursor + 1, e); }
CONTAINER *RfcGetCurrentRow(CONTAINER *t, ERR *e) {
  CONTAINER *row = t;
  if (!t || t->magic != mTABLE) return fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", "no table"), NULL;
  return open(&row, e) ? NULL : (succeed(e), row);
}
CONTAINER *RfcAppendNewRow(CONTAINER *t, ERR *e) {
  if (!t || t->magic != mTABLE) return fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", "no table"), NULL;
  succeed(e);
  return addRow(t);
}
static void deleteRows(CONTAINER *t) {
  for (uint32_t i = 0; i < t->count; i++) freeContainer(t->rows[i]);
  t->count = t->cursor = 0;
}
RC RfcDeleteAllRows(CONTAINER *t, ERR *e) { TABLE; deleteRows(t); return succeed(e); }

CONTAINER *RfcCreateFunction(TYPE *t, ERR *e) {
  if (!t || t->magic != mTYPE) return fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", "no description"), NULL;
  succeed(e);
  return newContainer(t, mFUNCTION);
}
RC RfcDestroyFunction(CONTAINER *c, ERR *e) {
  if (!c || c->magic != mFUNCTION) return fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", "no function");
  freeContainer(c);
  return succeed(e);
}

/* Descriptions. */
RC RfcGetParameterCount(TYPE *t, uint32_t *n, ERR *e) { *n = t->count; return succeed(e); }
RC RfcGetFieldCount(TYPE *t, uint32_t *n, ERR *e) { *n = t->count; return succeed(e); }
static RC describeParameter(FIELD *f, PDESC *d, ERR *e) {
  memset(d, 0, sizeof *d);
  more(d->more);
  memcpy(d->name, f->name, sizeof d->name);
  memcpy(d->def, f->def, sizeof d->def);
  d->type = f->type, d->direction = f->direction, d->nuc = f->nuc, d->uc = f->uc, d->decimals = f->decimals, d->td = f->td, d->optional = f->optional;
  return succeed(e);
}
static RC describeField(FIELD *f, FDESC *d, ERR *e) {
  memset(d, 0, sizeof *d);
  more(d->more);
  memcpy(d->name, f->name, sizeof d->name);
  d->type = f->type, d->nuc = f->nuc, d->nucOffset = f->nucOffset, d->uc = f->uc, d->ucOffset = f->ucOffset, d->decimals = f->decimals, d->td = f->td;
  return succeed(e);
}
static RC absent(ERR *e) { return fail(e, rcINVALID_PARAMETER, 5, "RFC_INVALID_PARAMETER", "there is no such parameter or field"); }
RC RfcGetParameterDescByIndex(TYPE *t, uint32_t i, PDESC *d, ERR *e) { return i < t->count ? describeParameter(&t->fields[i], d, e) : absent(e); }
RC RfcGetParameterDescByName(TYPE *t, const UC *name, PDESC *d, ERR *e) { FIELD *f = fieldOf(t, name); return f ? describeParameter(f, d, e) : absent(e); }
RC RfcGetFieldDescByIndex(TYPE *t, uint32_t i, FDESC *d, ERR *e) { return i < t->count ? describeField(&t->fields[i], d, e) : absent(e); }
RC RfcGetFieldDescByName(TYPE *t, const UC *name, FDESC *d, ERR *e) { FIELD *f = fieldOf(t, name); return f ? describeField(f, d, e) : absent(e); }
TYPE *RfcDescribeType(CONTAINER *c, ERR *e) { succeed(e); return c->type; }
