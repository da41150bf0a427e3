/* Frames: four bytes of length, then bytes, numbers of four bytes, and texts
 * of a number and UTF-16 units. All little-endian. */
#include "sim.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <errno.h>
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static unsigned char *grow(BUFFER *b, size_t n) {
  if (b->length + n > b->room) {
    b->room = 2 * (b->length + n) + 256;
    b->data = realloc(b->data, b->room);
    if (!b->data) abort();
  }
  b->length += n;
  return b->data + b->length - n;
}

static void writeByte(BUFFER *b, unsigned char value) { *grow(b, 1) = value; }

static void writeNumber(BUFFER *b, uint32_t value) {
  unsigned char *p = grow(b, 4);
  for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> (8 * i));
}

static void writeText(BUFFER *b, const UC *text, size_t length) {
  writeNumber(b, (uint32_t)length);
  unsigned char *p = grow(b, 2 * length);
  for (size_t i = 0; i < length; i++) p[2 * i] = (unsigned char)text[i], p[2 * i + 1] = (unsigned char)(text[i] >> 8);
}

static unsigned char *take(BUFFER *b, size_t n) {
  static unsigned char none[4];
  if (b->bad || b->length - b->at < n) {
    b->bad = 1;
    return none;
  }
  b->at += n;
  return b->data + b->at - n;
}

static unsigned char readByte(BUFFER *b) { return *take(b, 1); }

static uint32_t readNumber(BUFFER *b) {
  unsigned char *p = take(b, 4);
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t readText(BUFFER *b, UC *to, size_t room) {
  uint32_t length = readNumber(b);
  unsigned char *p = take(b, 2 * (size_t)length);
  size_t i = 0;
  if (b->bad) length = 0;
  for (; i < length && i + 1 < room; i++) to[i] = (UC)(p[2 * i] | p[2 * i + 1] << 8);
  if (room) to[i] = 0;
  return length;
}

static UC *readNewText(BUFFER *b, uint32_t *length) {
  size_t at = b->at;
  uint32_t n = readText(b, NULL, 0);
  UC *text = malloc(2 * ((size_t)n + 1));
  if (!text) abort();
  if (!b->bad) b->at = at;
  *length = readText(b, text, (size_t)n + 1);
  return text;
}

static int all(int fd, unsigned char *p, size_t n, int sending) {
  while (n) {
    ssize_t done = sending ? send(fd, p, n, MSG_NOSIGNAL) : recv(fd, p, n, 0);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return 0;
    p += done;
    n -= (size_t)done;
  }
  return 1;
}

static int sendFrame(int fd, BUFFER *b) {
  BUFFER head = {0};
  writeNumber(&head, (uint32_t)b->length);
  int ok = all(fd, head.data, 4, 1) && all(fd, b->data, b->length, 1);
  drop(&head);
  return ok;
}

static int receiveFrame(int fd, BUFFER *b) {
  BUFFER head = {0};
  grow(&head, 4);
  int ok = all(fd, head.data, 4, 0);
  if (ok) {
    uint32_t n = readNumber(&head);
    ok = n <= 256u << 20;
    if (ok) ok = all(fd, grow(b, n), n, 0);
  }
  drop(&head);
  return ok;
}

static void drop(BUFFER *b) {
  free(b->data);
  memset(b, 0, sizeof *b);
}
