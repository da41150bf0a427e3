"""Failures in the contract's words (section 7)."""

import errno
from contextlib import contextmanager

from orderport.connector.v1 import connector_pb2 as port


class Failure(Exception):
    """A failure that the host understands."""

    def __init__(self, code, message, retryable=False, violations=()):
        super().__init__(message)
        self.code, self.message, self.retryable, self.violations = code, message, retryable, violations

    def to_message(self):
        violations = [port.FieldViolation(path=path, message=message) for path, message in self.violations]
        code = port.ErrorCode.Value(f"ERROR_CODE_{self.code}")
        return port.Error(code=code, message=self.message, retryable=self.retryable, violations=violations)


BY_ERRNO = {
    errno.ENOENT: ("NOT_FOUND", "does not exist"),
    errno.ENOTDIR: ("NOT_FOUND", "is not a directory"),
    errno.EACCES: ("PERMISSION_DENIED", "may not be used by the connector"),
    errno.EPERM: ("PERMISSION_DENIED", "may not be used by the connector"),
    errno.EROFS: ("PERMISSION_DENIED", "is read-only"),
    errno.ENOSPC: ("THROTTLED", "has no space left"),
    errno.EDQUOT: ("THROTTLED", "has no space left within the quota"),
    errno.EMFILE: ("THROTTLED", "can not be opened: too many files are open"),
    errno.ENFILE: ("THROTTLED", "can not be opened: too many files are open"),
    errno.EINVAL: ("INVALID_CONFIG", "lies on a file system that can not rename without replacing"),
}


@contextmanager
def on(what):
    """Within it, a failed step on a file or directory becomes a Failure about what."""
    try:
        yield
    except OSError as error:
        code, reason = BY_ERRNO.get(error.errno, ("UNREACHABLE", f"can not be used ({errno.errorcode.get(error.errno)})"))
        raise Failure(code, f"{what} {reason}", retryable=code != "INVALID_CONFIG") from None


def internal():
    """What the host hears of a fault of the connector itself."""
    return Failure("INTERNAL", "the connector has a fault; its log names the place", retryable=True)
