"""Names that change in one step: nothing is replaced unasked, and two folders change places.

``renameat2`` of Linux 3.15 and glibc 2.28 (https://man7.org/linux/man-pages/man2/rename.2.html),
and what comes nearest where system or file system has it not.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

_AT_FDCWD, _NO_REPLACE, _EXCHANGE = -100, 1, 2  # Linux's fcntl.h and fs.h
# What it answers where it can't, or won't: an old kernel, NFS, a sandbox.
_UNABLE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)


def move_new(source: Path, path: Path) -> None:
    """Rename to a name that nothing has. Raises FileExistsError, and OSError as a rename does."""
    code = _renameat2(source, path, _NO_REPLACE)
    if code in _UNABLE:
        _move_folder(source, path) if source.is_dir() else _move_file(source, path)
    elif code:
        raise OSError(code, os.strerror(code), str(path))


def exchange(one: Path, other: Path) -> bool:
    """Let two names change places; False where system or file system can't, or won't."""
    return _renameat2(one, other, _EXCHANGE) == 0


def _renameat2(one: Path, other: Path, flags: int) -> int:
    """The call's errno, 0 where it did what it was asked."""
    if not sys.platform.startswith("linux"):
        return errno.ENOSYS
    import ctypes  # not needed, and not loaded, for anything else

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return errno.ENOSYS
    names = [os.fsencode(one), os.fsencode(other)]
    status = call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(flags))
    return 0 if status == 0 else ctypes.get_errno()


def _move_file(source: Path, path: Path) -> None:
    """A second name, which is given only where nothing has it; then the first one goes."""
    try:
        os.link(source, path)
    except FileExistsError:
        raise
    except OSError:  # FAT has one name for a file; a look before is all that is left
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.rename(source, path)
    else:
        os.unlink(source)


def _move_folder(source: Path, path: Path) -> None:
    """Over a folder that was just made under the name, where nothing had it, and is empty."""
    os.mkdir(path)
    try:
        os.rename(source, path)
    except OSError:
        os.rmdir(path)
        raise
