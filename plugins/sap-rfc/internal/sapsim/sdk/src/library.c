/* The library's one unit, and what needs no connection. */
#define _GNU_SOURCE
#include "sim.h"
#include "errors.c"
#include "wire.c"
#include "container.c"
#include "connection.c"

#ifndef MAJOR
#define MAJOR 7500
#endif

#ifdef COMPANION
int sapucumIsThere(void); /* in the other library */
#else
static int sapucumIsThere(void) { return 1; }
#endif

const UC *RfcGetVersion(uint32_t *major, uint32_t *minor, uint32_t *patch) {
  static const UC text[] = {'7', '5', '0', '0', 0};
  if (major) *major = MAJOR;
  if (minor) *minor = 0;
  if (patch) *patch = sapucumIsThere() ? 12 : 0;
  return text;
}

const UC *RfcGetRcAsString(RC rc) {
  static const UC ok[] = {'R', 'F', 'C', '_', 'O', 'K', 0}, other[] = {'R', 'F', 'C', '_', 'E', 'R', 'R', 'O', 'R', 0};
  return rc ? other : ok;
}

RC RfcSetIniPath(const UC *path, ERR *e) { (void)path; return succeed(e); }
RC RfcReloadIniFile(ERR *e) { return succeed(e); }
RC RfcSetTraceDir(const UC *path, ERR *e) { (void)path; return succeed(e); }
RC RfcSetTraceLevel(void *h, const UC *dest, uint32_t level, ERR *e) { (void)h; (void)dest; (void)level; return succeed(e); }

/* Transactional calls are not part of the simulation. */
static RC no(ERR *e) { return fail(e, rcNOT_SUPPORTED, 5, "RFC_NOT_SUPPORTED", "The simulation has no transactional calls"); }
RC RfcGetTransactionID(void *h, UC *tid, ERR *e) { (void)h; (void)tid; return no(e); }
void *RfcCreateTransaction(void *h, const UC *tid, const UC *queue, ERR *e) { (void)h; (void)tid; (void)queue; no(e); return 0; }
