"""The directory that the ERP reads: files appear in it whole, once, and replace nothing.

Every function may block; call them from a thread.
"""

import ctypes
import os
import secrets
import stat

from .errors import Failure, on

AT_FDCWD, NOREPLACE = -100, 1


def rename_without_replacing(source, target):
    """Linux's renameat2: one step that either moves the file or changes nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def staged_name(name):
    """A new hidden name for a file that is not yet to be seen."""
    return f".{name}.{secrets.token_hex(8)}.part"


def withdrawn_name(staged):
    return staged[: -len(".part")] + ".withdrawn.part"


class Dropbox:
    """One directory. Its hidden files end in ".part"."""

    def __init__(self, directory, words="the directory"):
        self.directory, self.words = directory, words

    def path(self, name):
        return os.path.join(self.directory, name)

    def inode(self):
        """Tells this directory from another that is mounted in its place later."""
        with on(self.words):
            info = os.stat(self.directory)
        if not stat.S_ISDIR(info.st_mode):
            raise Failure("NOT_FOUND", f"{self.words} is not a directory", retryable=True)
        return str(info.st_ino)

    def has(self, name):
        with on(self.words):
            try:
                os.lstat(self.path(name))
            except FileNotFoundError:
                return False
            return True

    def stage(self, staged, content):
        """Writes a hidden file that survives a power cut."""
        with on(self.words):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with open(os.open(self.path(staged), flags, 0o644), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                self.remove(staged)
                raise
            self._sync()

    def publish(self, staged, name):
        """The one visible step. False if the staged file was gone: whoever has the same checkpoint has made it."""
        with on(self.words):
            try:
                rename_without_replacing(self.path(staged), self.path(name))
            except FileNotFoundError:
                self._sync()
                return False
            except FileExistsError:
                raise self.conflict(name) from None
            self._sync()
            return True

    def conflict(self, name):
        return Failure("CONFLICT", f"something else is in the way at {self.path(name)}; move it and retry the export")

    def withdraw(self, staged):
        """Takes a staged file out of reach of all attempts; False if it was gone."""
        with on(self.words):
            try:
                os.rename(self.path(staged), self.path(withdrawn_name(staged)))
            except FileNotFoundError:
                return False
            self._sync()
            return True

    def remove(self, name):
        with on(self.words):
            try:
                os.unlink(self.path(name))
            except FileNotFoundError:
                pass

    def sweep(self, name):
        """Removes what earlier attempts for a name have left."""
        with on(self.words), os.scandir(self.directory) as entries:
            for entry in entries:
                if entry.name.startswith(f".{name}."):
                    self.remove(entry.name)

    def _sync(self):
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
