// Failures in the contract's words (section 7).

/** Failure is an error that the host understands. */
export class Failure extends Error {
  constructor(code, message, { retryable = false, retryAfterSeconds, violations = [] } = {}) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.retryAfterSeconds = retryAfterSeconds;
    this.violations = violations;
  }

  /** toMessage returns the Error of connector.proto. */
  toMessage() {
    return {
      code: `ERROR_CODE_${this.code}`,
      message: this.message,
      retryable: this.retryable,
      retry_after: this.retryAfterSeconds ? { seconds: this.retryAfterSeconds, nanos: 0 } : null,
      violations: this.violations,
    };
  }
}

/** Cancelled says that nobody waits for the call any more. */
export class Cancelled extends Error {}

const BY_ERRNO = {
  ENOENT: ['NOT_FOUND', 'does not exist'],
  ENOTDIR: ['NOT_FOUND', 'is not a directory'],
  EACCES: ['PERMISSION_DENIED', 'may not be used by the connector'],
  EPERM: ['PERMISSION_DENIED', 'may not be used by the connector'],
  EROFS: ['PERMISSION_DENIED', 'is read-only'],
  ENOSPC: ['THROTTLED', 'has no space left'],
  EDQUOT: ['THROTTLED', 'has no space left within the quota'],
  EMFILE: ['THROTTLED', 'can not be opened: too many files are open'],
  ENFILE: ['THROTTLED', 'can not be opened: too many files are open'],
};

/** classify says what a failed step on a file or directory means to the host. */
export function classify(error, what) {
  if (error instanceof Failure || error instanceof Cancelled) return error;
  if (typeof error?.syscall !== 'string') return error; // a fault of ours
  const [code, reason] = BY_ERRNO[error.code] ?? ['UNREACHABLE', `can not be used (${error.code})`];
  return new Failure(code, `${what} ${reason}`, { retryable: true });
}

/** attempt runs a step on what the words name, and classifies its failure. */
export async function attempt(what, step) {
  try {
    return await step();
  } catch (error) {
    throw classify(error, what);
  }
}

/** internal is what the host hears of a fault of the connector itself. */
export function internal() {
  return new Failure('INTERNAL', 'the connector has a fault; its log names the place', { retryable: true });
}
