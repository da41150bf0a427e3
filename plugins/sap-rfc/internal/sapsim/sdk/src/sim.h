/* What the files of this library share. The library has the functions and the
 * structs of the SAP NetWeaver RFC library as far as they are publicly known,
 * and nothing behind them: calls go over a Unix socket to a simulated system.
 * Package sdk compiles it for tests, as one unit: library.c includes the other
 * files, so that all but the library's own functions is static, and several
 * builds of it can live in one process. */
#ifndef SIM_H
#define SIM_H
#include <stdint.h>
#include <stddef.h>

typedef uint16_t UC;
typedef int32_t RC;

/* APPENDED makes the structs longer than they are known to be, as a later patch
 * level of the library may, and fills what is new. */
#ifndef APPENDED
#define APPENDED 0
#endif

typedef struct { const UC *name, *value; } CPARAM;
typedef struct {
  RC code, group;
  UC key[128], message[512], cls[21], type[2], number[4], v[4][51];
  unsigned char more[APPENDED];
} ERR;
/* SHIFTED is a patch level whose structs differ from what is published. */
typedef struct {
  UC name[31];
#ifdef SHIFTED
  RC direction, type;
#else
  RC type, direction;
#endif
  uint32_t nuc, uc, decimals;
  void *td;
  UC def[31], text[80];
  unsigned char optional;
  void *ext;
  unsigned char more[APPENDED];
} PDESC;
typedef struct {
  UC name[31];
  RC type;
  uint32_t nuc, nucOffset, uc, ucOffset, decimals;
  void *td, *ext;
  unsigned char more[APPENDED];
} FDESC;
typedef struct {
  UC dest[65], host[101], partnerHost[101], sysNumber[3], sysId[9], client[4], user[13], language[3], trace[2], isoLanguage[3],
    codepage[5], partnerCodepage[5], rfcRole[2], type[2], partnerType[2], rel[5], partnerRel[5], kernelRel[5], cpicConvId[9],
    progName[129], partnerBytesPerChar[2], partnerSystemCodepage[5], partnerIP[16], partnerIPv6[46], reserved[17];
} ATTR;
/* A negative size does not compile. */
typedef char errIs1752[sizeof(ERR) == 1752 + APPENDED ? 1 : -1];
typedef char pdescIs328[offsetof(PDESC, more) == 328 && offsetof(PDESC, optional) == 318 ? 1 : -1];
typedef char fdescIs104[offsetof(FDESC, more) == 104 ? 1 : -1];
typedef char attrIs1118[sizeof(ATTR) == 1118 ? 1 : -1];

enum { tCHAR = 0, tDATE = 1, tBCD = 2, tTIME = 3, tBYTE = 4, tTABLE = 5, tNUM = 6, tINT = 8, tSTRUCTURE = 17, tSTRING = 29 };
enum { dIMPORT = 1, dEXPORT = 2, dCHANGING = 3, dTABLES = 7 };
enum {
  rcOK = 0, rcCOMMUNICATION = 1, rcCLOSED = 6, rcCANCELED = 7, rcINVALID_HANDLE = 13, rcNOT_SUPPORTED = 18, rcILLEGAL_STATE = 19,
  rcINVALID_PARAMETER = 20, rcCONVERSION = 22, rcTOO_SMALL = 23, rcBOF = 24, rcEOF = 25
};

/* A type is the fields of a structure, or the parameters of a function. */
struct type;
typedef struct {
  UC name[31], def[31];
  RC type, direction;
  uint32_t nuc, nucOffset, uc, ucOffset, decimals;
  unsigned char optional;
  struct type *td;
} FIELD;
typedef struct type {
  uint32_t magic;
  UC name[31];
  uint32_t count;
  FIELD *fields;
  int options;
  struct type *next; /* of the cache */
  UC system[9], host[101];
} TYPE;

/* A container holds a value for each field of its type; a table holds rows. */
struct container;
typedef struct {
  UC *text; /* of a single value; NULL is initial */
  uint32_t length;
  unsigned char set, inactive;
  struct container *child;
} SLOT;
typedef struct container {
  uint32_t magic;
  TYPE *type;
  SLOT *slots; /* of a structure or a function */
  struct container **rows;
  uint32_t count, room, cursor;
} CONTAINER;

enum { mFUNCTION = 0x46554e43, mSTRUCTURE = 0x53545255, mTABLE = 0x5441424c, mTYPE = 0x54595045, mCONNECTION = 0x434f4e4e };

/* errors.c */
static RC fail(ERR *e, RC code, RC group, const char *key, const char *message);
static RC succeed(ERR *e);
static void put(UC *to, size_t room, const char *from);
static void copy(UC *to, size_t room, const UC *from, size_t length);
static size_t count(const UC *text);
static int same(const UC *a, const UC *b);
static int is(const UC *a, const char *b);
static void more(void *struct_more);

/* wire.c: buffers of requests and answers. */
typedef struct {
  unsigned char *data;
  size_t length, room, at;
  int bad;
} BUFFER;
static void writeByte(BUFFER *b, unsigned char value);
static void writeNumber(BUFFER *b, uint32_t value);
static void writeText(BUFFER *b, const UC *text, size_t length);
static unsigned char readByte(BUFFER *b);
static uint32_t readNumber(BUFFER *b);
static uint32_t readText(BUFFER *b, UC *to, size_t room); /* ends it with a zero; returns its whole length */
static UC *readNewText(BUFFER *b, uint32_t *length);
static int sendFrame(int fd, BUFFER *b);
static int receiveFrame(int fd, BUFFER *b);
static void drop(BUFFER *b);

/* container.c */
static void deleteRows(CONTAINER *table);
static FIELD *fieldOf(TYPE *t, const UC *name);
static CONTAINER *newContainer(TYPE *t, uint32_t magic);
static void freeContainer(CONTAINER *c);
static CONTAINER *addRow(CONTAINER *table);
static RC child(CONTAINER *c, FIELD *f, SLOT *s, CONTAINER **to);
static SLOT *slotOf(CONTAINER *c, const UC *name, FIELD **f);

/* How the system wants the library's open questions to be answered. */
enum { optThreadBound = 1, optCancelFails = 2, optShortNumbersRefused = 4, optCutsLongText = 8, optKeepsHandles = 16 };
#endif
