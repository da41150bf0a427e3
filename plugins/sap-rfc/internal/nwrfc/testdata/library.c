/* A library with the functions and structs of the SAP NetWeaver RFC library
 * that package nwrfc uses, for its tests. It knows three functions: ECHO gives
 * its parameters back, SLOW waits until it is cancelled, and COUNT counts the
 * calls of its connection. Containers are lists of named values. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint16_t UC;
typedef struct { int32_t code, group; UC key[128], message[512], cls[21], type[2], number[4], v[4][51]; } ERR;
typedef struct { UC name[31]; int32_t type, direction; uint32_t nuc, uc, decimals; void *td; UC def[31], text[80]; unsigned char optional; void *ext; } PDESC;
typedef struct { UC name[31]; int32_t type; uint32_t nuc, nucOff, uc, ucOff, decimals; void *td, *ext; } FDESC;
typedef struct { UC *name, *value; } CPARAM;

_Static_assert(sizeof(ERR) == 1752, "RFC_ERROR_INFO");
_Static_assert(sizeof(PDESC) == 328, "RFC_PARAMETER_DESC");
_Static_assert(sizeof(FDESC) == 104, "RFC_FIELD_DESC");

typedef struct { const char *name; int type, direction, chars, bytes; const void *td; } META;
typedef struct { int count; const META *meta; } TYPE;
typedef struct value { UC name[31]; UC data[1024]; uint32_t len; int32_t number; struct value *rows; struct value *fields; struct value *next; } VALUE;
typedef struct { volatile int cancelled; int32_t calls; } CONN;
typedef struct { const char *name; TYPE t; } FUNC;

static const META row[] = {{"TEXT", 0, 0, 20, 20, 0}, {"ROW", 8, 0, 2, 4, 0}, {"AMOUNT", 2, 0, 7, 7, 0}};
static const TYPE rowType = {3, row};
static const META echo[] = {
  {"C", 0, 3, 10, 10, 0}, {"N", 6, 3, 6, 6, 0}, {"D", 1, 3, 8, 8, 0}, {"T", 3, 3, 6, 6, 0}, {"P", 2, 3, 7, 7, 0},
  {"I", 8, 3, 2, 4, 0}, {"S", 29, 3, 8, 8, 0}, {"STR", 17, 3, 0, 0, &rowType}, {"TAB", 5, 7, 0, 0, &rowType}, {"TAB2", 5, 7, 0, 0, &rowType}};
static const META count[] = {{"I", 8, 2, 2, 4, 0}};
static const FUNC functions[] = {{"ECHO", {10, echo}}, {"SLOW", {0, 0}}, {"COUNT", {1, count}}};

static void put(UC *to, const char *from) { while ((*to++ = (unsigned char)*from++)) {} }
static int same(const UC *a, const char *b) { while (*b && *a == (unsigned char)*b) { a++; b++; } return *a == (unsigned char)*b; }
static int32_t fail(ERR *e, int code, int group, const char *key, const char *message) {
  memset(e, 0, sizeof *e); e->code = code; e->group = group; put(e->key, key); put(e->message, message); return code;
}
static VALUE *find(VALUE *c, const UC *name) {
  for (VALUE *v = c->fields; v; v = v->next) if (!memcmp(v->name, name, sizeof(UC))) { int i = 0; while (v->name[i] && v->name[i] == name[i]) i++; if (v->name[i] == name[i]) return v; }
  VALUE *v = calloc(1, sizeof *v); for (int i = 0; i < 30 && name[i]; i++) v->name[i] = name[i];
  v->next = c->fields; c->fields = v; return v;
}

const UC *RfcGetVersion(uint32_t *a, uint32_t *b, uint32_t *c) { static UC text[1]; *a = 7500; *b = 0; *c = 12; return text; }
CONN *RfcOpenConnection(CPARAM *p, uint32_t n, ERR *e) {
  int traced = 1;
  for (uint32_t i = 0; i < n; i++) {
    if (same(p[i].name, "TRACE") && same(p[i].value, "0")) traced = 0;
    if (same(p[i].name, "PASSWD") && !same(p[i].value, "right")) { fail(e, 2, 3, "RFC_LOGON_FAILURE", "Name or password is incorrect"); return 0; }
    if (same(p[i].name, "ASHOST") && same(p[i].value, "hang")) sleep(3);
    if (same(p[i].name, "ASHOST") && same(p[i].value, "dead")) { fail(e, 1, 4, "RFC_COMMUNICATION_FAILURE", "LOCATION CPIC\nERROR  no partner"); return 0; }
  }
  if (traced) { fail(e, 20, 5, "RFC_INVALID_PARAMETER", "trace is on"); return 0; }
  return calloc(1, sizeof(CONN));
}
int32_t RfcCloseConnection(CONN *h, ERR *e) { free(h); return 0; }
int32_t RfcPing(CONN *h, ERR *e) { return h->cancelled ? fail(e, 6, 4, "RFC_CLOSED", "closed") : 0; }
int32_t RfcCancel(CONN *h, ERR *e) { h->cancelled = 1; return 0; }
const FUNC *RfcGetFunctionDesc(CONN *h, UC *name, ERR *e) {
  for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++) if (same(name, functions[i].name)) return &functions[i];
  fail(e, 5, 1, "FU_NOT_FOUND", "ID:FL Type:E Number:046"); put(e->cls, "FL"); put(e->number, "046"); return 0;
}
int32_t RfcGetParameterCount(FUNC *f, uint32_t *n, ERR *e) { *n = f->t.count; return 0; }
int32_t RfcGetParameterDescByIndex(FUNC *f, uint32_t i, PDESC *d, ERR *e) {
  const META *m = &f->t.meta[i]; memset(d, 0, sizeof *d); put(d->name, m->name);
  d->type = m->type; d->direction = m->direction; d->nuc = m->bytes; d->uc = m->chars * 2; d->td = (void *)m->td; d->optional = 1; return 0;
}
int32_t RfcGetFieldCount(TYPE *t, uint32_t *n, ERR *e) { *n = t->count; return 0; }
int32_t RfcGetFieldDescByIndex(TYPE *t, uint32_t i, FDESC *d, ERR *e) {
  const META *m = &t->meta[i]; memset(d, 0, sizeof *d); put(d->name, m->name); d->type = m->type; d->nuc = m->bytes; d->uc = m->chars * 2; d->decimals = 3; return 0;
}
VALUE *RfcCreateFunction(FUNC *f, ERR *e) { VALUE *v = calloc(1, sizeof *v); v->rows = (VALUE *)f; return v; }
int32_t RfcDestroyFunction(VALUE *f, ERR *e) { free(f); return 0; }
int32_t RfcInvoke(CONN *h, VALUE *f, ERR *e) {
  const FUNC *fn = (const FUNC *)f->rows; h->calls++;
  if (!strcmp(fn->name, "SLOW")) { while (!h->cancelled) usleep(1000); return fail(e, 7, 4, "RFC_CANCELED", "cancelled"); }
  if (!strcmp(fn->name, "COUNT")) { UC name[] = {'I', 0}; find(f, name)->number = h->calls; }
  return 0;
}
static int32_t store(VALUE *c, UC *name, UC *value, uint32_t n) { VALUE *v = find(c, name); memcpy(v->data, value, n * 2); v->len = n; return 0; }
int32_t RfcSetChars(VALUE *c, UC *name, UC *value, uint32_t n, ERR *e) { return store(c, name, value, n); }
int32_t RfcSetNum(VALUE *c, UC *name, UC *value, uint32_t n, ERR *e) { return store(c, name, value, n); }
int32_t RfcSetString(VALUE *c, UC *name, UC *value, uint32_t n, ERR *e) { return store(c, name, value, n); }
int32_t RfcSetDate(VALUE *c, UC *name, UC *value, ERR *e) { return store(c, name, value, 8); }
int32_t RfcSetTime(VALUE *c, UC *name, UC *value, ERR *e) { return store(c, name, value, 6); }
int32_t RfcSetInt(VALUE *c, UC *name, int32_t value, ERR *e) { find(c, name)->number = value; return 0; }
static int32_t load(VALUE *c, UC *name, UC *to, uint32_t n) { VALUE *v = find(c, name); for (uint32_t i = 0; i < n; i++) to[i] = i < v->len ? v->data[i] : ' '; return 0; }
int32_t RfcGetChars(VALUE *c, UC *name, UC *to, uint32_t n, ERR *e) { return load(c, name, to, n); }
int32_t RfcGetNum(VALUE *c, UC *name, UC *to, uint32_t n, ERR *e) { return load(c, name, to, n); }
int32_t RfcGetDate(VALUE *c, UC *name, UC *to, ERR *e) { return load(c, name, to, 8); }
int32_t RfcGetTime(VALUE *c, UC *name, UC *to, ERR *e) { return load(c, name, to, 6); }
int32_t RfcGetInt(VALUE *c, UC *name, int32_t *to, ERR *e) { *to = find(c, name)->number; return 0; }
int32_t RfcGetStringLength(VALUE *c, UC *name, uint32_t *n, ERR *e) { *n = find(c, name)->len; return 0; }
int32_t RfcGetString(VALUE *c, UC *name, UC *to, uint32_t n, uint32_t *len, ERR *e) {
  VALUE *v = find(c, name); *len = v->len;
  if (n < v->len + 1) return fail(e, 23, 5, "RFC_BUFFER_TOO_SMALL", "too small");
  memcpy(to, v->data, v->len * 2); to[v->len] = 0; return 0;
}
int32_t RfcGetStructure(VALUE *c, UC *name, VALUE **h, ERR *e) { *h = find(c, name); return 0; }
int32_t RfcGetTable(VALUE *c, UC *name, VALUE **h, ERR *e) { *h = find(c, name); return 0; }
int32_t RfcGetRowCount(VALUE *t, uint32_t *n, ERR *e) { *n = 0; for (VALUE *r = t->rows; r; r = r->next) ++*n; return 0; }
int32_t RfcMoveTo(VALUE *t, uint32_t i, ERR *e) { t->number = i; return 0; }
VALUE *RfcGetCurrentRow(VALUE *t, ERR *e) { VALUE *r = t->rows; for (int i = t->number; i; i--) r = r->next; return r; }
VALUE *RfcAppendNewRow(VALUE *t, ERR *e) { VALUE *r = calloc(1, sizeof *r), **end = &t->rows; while (*end) end = &(*end)->next; return *end = r; }
