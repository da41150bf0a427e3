/* Connections: a handle is the address of one of a few slots, and is given out
 * again as soon as it is free. */
#include "sim.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef SIGNALS
#include <signal.h>
#endif

enum { opLOGON = 1, opPING, opDESCRIBE, opINVOKE, opRESET };
enum { maxSlots = 4096 };

typedef struct {
  uint32_t magic;
  int fd, busy, cancelled, dead, options;
  pthread_t thread;
  UC system[9], client[4], user[13], host[101], release[5];
} CONNECTION;

static CONNECTION slots[maxSlots];
static TYPE *cache; /* descriptions, by system, host and function, for good */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards slots and cache */

static int conversations(void) {
  const char *limit = getenv("CPIC_MAX_CONV");
  int n = limit ? atoi(limit) : 100;
  return n > 0 && n < maxSlots ? n : 100;
}

static CONNECTION *claim(void) {
  CONNECTION *found = NULL;
  int used = 0;
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < maxSlots; i++) {
    if (slots[i].magic) used += !slots[i].dead;
    else if (!found) found = &slots[i];
  }
  if (used >= conversations()) found = NULL;
  if (found) {
    memset(found, 0, sizeof *found);
    found->magic = mCONNECTION;
    found->fd = -1;
    found->busy = 1;
    found->thread = pthread_self();
  }
  pthread_mutex_unlock(&mutex);
  return found;
}

static void release(CONNECTION *h) {
  pthread_mutex_lock(&mutex);
  if (h->fd >= 0) close(h->fd);
  h->fd = -1;
  h->magic = 0;
  pthread_mutex_unlock(&mutex);
}

static RC unreachable(ERR *e, const char *what) {
  char message[512];
  snprintf(message, sizeof message,
    "\nLOCATION    CPIC (TCP/IP) on local host\nERROR       %s\nTIME        Mon Nov 23 10:00:00 2026\nRELEASE     753\n"
    "COMPONENT   NI (network interface)\nVERSION     40\nRC          -10\nMODULE      nixxi.cpp\nLINE        3286\n"
    "DETAIL      NiPConnect2\nSYSTEM CALL connect\nERRNO       111\nCOUNTER     1\n", what);
  return fail(e, rcCOMMUNICATION, 4, "RFC_COMMUNICATION_FAILURE", message);
}

/* enter makes a connection the caller's for one call. */
static RC enter(CONNECTION *h, ERR *e) {
  const char *wrong = NULL;
  pthread_mutex_lock(&mutex);
  if (h < slots || h >= slots + maxSlots || h->magic != mCONNECTION || h->dead) wrong = "An invalid handle was passed to the API call";
  else if (h->busy) wrong = "The handle is in use by another thread";
  else if ((h->options & optThreadBound) && !pthread_equal(h->thread, pthread_self())) wrong = "The handle belongs to another thread";
  else h->busy = 1;
  pthread_mutex_unlock(&mutex);
  return wrong ? fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", wrong) : rcOK;
}

/* leave ends a call. A connection that is gone gives its slot back, unless the
 * library leaves that to the caller. */
static void leave(CONNECTION *h, int gone) {
  pthread_mutex_lock(&mutex);
  h->busy = 0;
  if (gone) {
    close(h->fd);
    h->fd = -1;
    h->dead = 1;
    if (!(h->options & optKeepsHandles)) h->magic = 0;
  }
  pthread_mutex_unlock(&mutex);
}

/* problem reads the error of an answer, and says whether the session is gone. */
static int problem(BUFFER *b, ERR *e) {
  ERR local;
  if (!e) e = &local;
  succeed(e);
  e->code = (RC)readNumber(b);
  e->group = (RC)readNumber(b);
  readText(b, e->key, 128);
  readText(b, e->message, 512);
  readText(b, e->cls, 21);
  readText(b, e->type, 2);
  readText(b, e->number, 4);
  for (int i = 0; i < 4; i++) readText(b, e->v[i], 51);
  return readByte(b);
}

/* ask sends a request and waits for its answer, and takes the status off it.
 * On an error the buffer is empty, and *gone says whether the connection is. */
static RC ask(CONNECTION *h, BUFFER *b, ERR *e, int *gone) {
  int ok = sendFrame(h->fd, b);
  drop(b);
  ok = ok && receiveFrame(h->fd, b);
  *gone = 1;
  RC rc;
  if (!ok) {
    pthread_mutex_lock(&mutex);
    int cancelled = h->cancelled;
    pthread_mutex_unlock(&mutex);
    rc = cancelled ? fail(e, rcCANCELED, 4, "RFC_CANCELED", "The RFC call was cancelled") : unreachable(e, "connection to partner broken");
  } else if (readByte(b)) {
    ERR local;
    ERR *to = e ? e : &local;
    *gone = problem(b, to);
    rc = to->code;
  } else {
    *gone = 0;
    return succeed(e);
  }
  drop(b);
  return rc;
}

/* The file that stands for the network: beside the library, named by the host. */
static int dial(const UC *host) {
  Dl_info info;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char name[101];
  size_t i = 0;
  for (; host[i] && i < 100; i++) name[i] = host[i] < 127 && host[i] != '/' ? (char)host[i] : '_';
  name[i] = 0;
  if (!dladdr((void *)slots, &info) || !info.dli_fname) return -1;
  const char *slash = strrchr(info.dli_fname, '/');
  int folder = slash ? (int)(slash - info.dli_fname) : 0;
  if (snprintf(address.sun_path, sizeof address.sun_path, "%.*s/%s.sock", folder, info.dli_fname, name) >= (int)sizeof address.sun_path) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address)) {
    close(fd);
    fd = -1;
  }
  return fd;
}

/* trace writes what it is given to a file beside the library, secrets too. */
static void trace(const CPARAM *p, uint32_t n) {
  Dl_info info;
  char file[512];
  if (!dladdr((void *)slots, &info) || !info.dli_fname) return;
  const char *slash = strrchr(info.dli_fname, '/');
  snprintf(file, sizeof file, "%.*s/dev_rfc.trc", slash ? (int)(slash - info.dli_fname) : 0, info.dli_fname);
  FILE *f = fopen(file, "a");
  if (!f) return;
  for (uint32_t i = 0; i < n; i++) {
    for (const UC *u = p[i].name; *u; u++) fputc((char)*u, f);
    fputc('=', f);
    for (const UC *u = p[i].value; *u; u++) fputc((char)*u, f);
    fputc('\n', f);
  }
  fclose(f);
}

/* parameter returns a connection parameter; the case of its name is no matter. */
static const UC *parameter(const CPARAM *p, uint32_t n, const char *name) {
  for (uint32_t i = 0; i < n; i++) {
    const UC *a = p[i].name;
    const char *b = name;
    while (*a && *b && (*a == (unsigned char)*b || *a == (unsigned char)(*b | 32))) a++, b++;
    if (!*a && !*b) return p[i].value;
  }
  return NULL;
}

/* chat appends the parameters to the message of an error. */
static void chat(const CPARAM *p, uint32_t n, ERR *e) {
#ifdef CHATTY
  size_t at = count(e->message);
  for (uint32_t i = 0; i < n; i++) {
    if (at + 1 < 512) e->message[at++] = ' ';
    for (const UC *u = p[i].value; *u && at + 1 < 512; u++) e->message[at++] = *u;
  }
  e->message[at] = 0;
#else
  (void)p, (void)n, (void)e;
#endif
}

/* grab installs a signal handler without a stack of its own. */
#ifdef SIGNALS
static void onSignal(int number) { (void)number; }
static void grab(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = onSignal;
  sigaction(SIGUSR2, &action, NULL);
}
#else
static void grab(void) {}
#endif

CONNECTION *RfcOpenConnection(const CPARAM *p, uint32_t n, ERR *e) {
  grab();
  static const char *names[] = {"ASHOST", "GWHOST", "MSHOST", "WSHOST"};
  const UC *host = NULL, *level = parameter(p, n, "TRACE");
  for (int i = 0; i < 4 && !host; i++) host = parameter(p, n, names[i]);
  if (!host) return fail(e, rcINVALID_PARAMETER, 5, "RFC_INVALID_PARAMETER", "Parameter ASHOST, GWHOST, MSHOST or PORT is missing."), NULL;
  if (level && !is(level, "0")) trace(p, n);
  CONNECTION *h = claim();
  if (!h) return unreachable(e, "max no of 100 conversations exceeded"), NULL;
  h->fd = dial(host);
  if (h->fd < 0) {
    release(h);
    return unreachable(e, "partner not reached"), NULL;
  }
  BUFFER b = {0};
  writeByte(&b, opLOGON);
  writeNumber(&b, n);
  for (uint32_t i = 0; i < n; i++) {
    writeText(&b, p[i].name, count(p[i].name));
    writeText(&b, p[i].value, count(p[i].value));
  }
  int gone;
  if (ask(h, &b, e, &gone)) {
    release(h);
    chat(p, n, e);
    return NULL;
  }
  readText(&b, h->system, 9);
  readText(&b, h->client, 4);
  readText(&b, h->user, 13);
  readText(&b, h->host, 101);
  readText(&b, h->release, 5);
  h->options = readByte(&b);
  drop(&b);
  leave(h, 0);
  return h;
}

RC RfcCloseConnection(CONNECTION *h, ERR *e) {
  pthread_mutex_lock(&mutex);
  int valid = h >= slots && h < slots + maxSlots && h->magic == mCONNECTION;
  int busy = valid && h->busy;
  if (busy) shutdown(h->fd, SHUT_RDWR); /* the call that is under way ends as if the line had dropped */
  pthread_mutex_unlock(&mutex);
  if (!valid) return fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", "An invalid handle was passed to the API call");
  if (!busy) release(h);
  return succeed(e);
}

RC RfcIsConnectionHandleValid(CONNECTION *h, int *valid, ERR *e) {
  pthread_mutex_lock(&mutex);
  *valid = h >= slots && h < slots + maxSlots && h->magic == mCONNECTION;
  pthread_mutex_unlock(&mutex);
  return *valid ? succeed(e) : fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", "An invalid handle was passed to the API call");
}

#ifndef WITHOUT_CANCEL
RC RfcCancel(CONNECTION *h, ERR *e) {
  RC rc = rcOK;
  pthread_mutex_lock(&mutex);
  if (h < slots || h >= slots + maxSlots || h->magic != mCONNECTION) rc = rcINVALID_HANDLE;
  else if (h->options & optCancelFails) rc = rcILLEGAL_STATE;
  else {
    h->cancelled = 1;
    shutdown(h->fd, SHUT_RDWR);
  }
  pthread_mutex_unlock(&mutex);
  return rc ? fail(e, rc, 5, rc == rcINVALID_HANDLE ? "RFC_INVALID_HANDLE" : "RFC_ILLEGAL_STATE", "The call cannot be cancelled") : succeed(e);
}
#endif

static RC simple(CONNECTION *h, int op, ERR *e) {
  RC rc = enter(h, e);
  if (rc) return rc;
  BUFFER b = {0};
  int gone;
  writeByte(&b, (unsigned char)op);
  rc = ask(h, &b, e, &gone);
  drop(&b);
  leave(h, gone);
  return rc;
}

RC RfcPing(CONNECTION *h, ERR *e) { return simple(h, opPING, e); }
RC RfcResetServerContext(CONNECTION *h, ERR *e) { return simple(h, opRESET, e); }

RC RfcGetConnectionAttributes(CONNECTION *h, ATTR *a, ERR *e) {
  RC rc = enter(h, e);
  if (rc) return rc;
  memset(a, 0, sizeof *a);
  copy(a->sysId, 9, h->system, 8);
  copy(a->client, 4, h->client, 3);
  copy(a->user, 13, h->user, 12);
  copy(a->partnerHost, 101, h->host, 100);
  copy(a->partnerRel, 5, h->release, 4);
  put(a->codepage, 5, "4103");
  put(a->partnerCodepage, 5, "4103");
  leave(h, 0);
  return succeed(e);
}

/* readType reads the fields of a structure, or the parameters of a function. */
static TYPE *readType(BUFFER *b, int options, TYPE **types, uint32_t known) {
  TYPE *t = calloc(1, sizeof *t);
  t->options = options;
  t->magic = mTYPE;
  readText(b, t->name, 31);
  t->count = readNumber(b);
  if (b->bad || t->count > 10000) abort();
  t->fields = calloc(t->count + 1, sizeof *t->fields);
  for (uint32_t i = 0; i < t->count; i++) {
    FIELD *f = &t->fields[i];
    readText(b, f->name, 31);
    f->type = (RC)readNumber(b);
    f->direction = (RC)readNumber(b);
    f->nuc = readNumber(b);
    f->nucOffset = readNumber(b);
    f->uc = readNumber(b);
    f->ucOffset = readNumber(b);
    f->decimals = readNumber(b);
    f->optional = readByte(b);
    readText(b, f->def, 31);
    uint32_t index = readNumber(b);
    if (index && index <= known) f->td = types[index - 1];
  }
  return t;
}

static TYPE *cached(CONNECTION *h, const UC *name) {
  pthread_mutex_lock(&mutex);
  TYPE *t = cache;
  while (t && !(same(t->system, h->system) && same(t->host, h->host) && same(t->name, name))) t = t->next;
  pthread_mutex_unlock(&mutex);
  return t;
}

TYPE *RfcGetFunctionDesc(CONNECTION *h, const UC *name, ERR *e) {
  if (enter(h, e)) return NULL;
  TYPE *t = cached(h, name);
  if (t) {
    leave(h, 0);
    succeed(e);
    return t;
  }
  BUFFER b = {0};
  int gone;
  writeByte(&b, opDESCRIBE);
  writeText(&b, name, count(name));
  RC rc = ask(h, &b, e, &gone);
  leave(h, gone);
  if (rc) return NULL;
  uint32_t n = readNumber(&b);
  TYPE **types = calloc(n + 1, sizeof *types);
  for (uint32_t i = 0; i < n; i++) types[i] = readType(&b, h->options, NULL, 0);
  t = readType(&b, h->options, types, n);
  free(types);
  drop(&b);
  pthread_mutex_lock(&mutex);
  memcpy(t->system, h->system, sizeof t->system);
  memcpy(t->host, h->host, sizeof t->host);
  t->next = cache;
  cache = t;
  pthread_mutex_unlock(&mutex);
  succeed(e);
  return t;
}

RC RfcRemoveFunctionDesc(const UC *system, const UC *name, ERR *e) {
  pthread_mutex_lock(&mutex);
  for (TYPE **t = &cache; *t; t = &(*t)->next)
    if (same((*t)->system, system) && same((*t)->name, name)) {
      *t = (*t)->next; /* it stays in memory: somebody may be using it */
      break;
    }
  pthread_mutex_unlock(&mutex);
  return succeed(e);
}

static void writeFields(BUFFER *b, CONTAINER *c) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->type->count; i++) n += c->slots[i].text != NULL;
  writeNumber(b, n);
  for (uint32_t i = 0; i < c->type->count; i++)
    if (c->slots[i].text) {
      writeText(b, c->type->fields[i].name, count(c->type->fields[i].name));
      writeText(b, c->slots[i].text, c->slots[i].length);
    }
}

/* writeCall writes what goes to the function: import parameters that were set,
 * and every table that is not switched off. */
static void writeCall(BUFFER *b, CONTAINER *f) {
  uint32_t n = 0;
  for (int writing = 0; writing < 2; writing++) {
    if (writing) writeNumber(b, n);
    for (uint32_t i = 0; i < f->type->count; i++) {
      FIELD *d = &f->type->fields[i];
      SLOT *s = &f->slots[i];
      if (s->inactive || d->direction == dEXPORT || (d->direction != dTABLES && !s->set)) continue;
      n++;
      if (!writing) continue;
      writeText(b, d->name, count(d->name));
      writeByte(b, d->type == tTABLE ? 2 : d->type == tSTRUCTURE ? 1 : 0);
      if (d->type == tTABLE) {
        writeNumber(b, s->child ? s->child->count : 0);
        for (uint32_t r = 0; s->child && r < s->child->count; r++) writeFields(b, s->child->rows[r]);
      } else if (d->type == tSTRUCTURE) {
        writeFields(b, s->child);
      } else {
        writeText(b, s->text, s->length);
      }
    }
  }
}

static void readValue(BUFFER *b, SLOT *s) {
  uint32_t length;
  UC *text = readNewText(b, &length);
  if (!s) {
    free(text);
    return;
  }
  free(s->text);
  s->text = text;
  s->length = length;
}

static void readFields(BUFFER *b, CONTAINER *c) {
  UC name[31];
  FIELD *f;
  for (uint32_t n = readNumber(b); n && !b->bad; n--) {
    readText(b, name, 31);
    readValue(b, slotOf(c, name, &f));
  }
}

/* readAnswer reads what comes from the function. */
static void readAnswer(BUFFER *b, CONTAINER *c) {
  UC name[31];
  for (uint32_t n = readNumber(b); n && !b->bad; n--) {
    FIELD *f;
    readText(b, name, 31);
    SLOT *s = slotOf(c, name, &f);
    int shape = readByte(b);
    if (!s) abort(); /* the two sides do not speak of the same function */
    if (shape == 0) {
      readValue(b, s);
      continue;
    }
    CONTAINER *inner;
    child(c, f, s, &inner);
    if (shape == 1) {
      readFields(b, inner);
      continue;
    }
    deleteRows(inner);
    for (uint32_t rows = readNumber(b); rows && !b->bad; rows--) readFields(b, addRow(inner));
    inner->cursor = 0;
  }
}

RC RfcInvoke(CONNECTION *h, CONTAINER *f, ERR *e) {
  if (!f || f->magic != mFUNCTION) return fail(e, rcINVALID_HANDLE, 5, "RFC_INVALID_HANDLE", "no function");
  RC rc = enter(h, e);
  if (rc) return rc;
  BUFFER b = {0};
  int gone;
  writeByte(&b, opINVOKE);
  writeText(&b, f->type->name, count(f->type->name));
  writeCall(&b, f);
  rc = ask(h, &b, e, &gone);
  if (!rc) readAnswer(&b, f);
  drop(&b);
  leave(h, gone);
  return rc;
}
