"""Files that are whole or absent, private where the data are, and opened only where they are files.

What is written goes under a temporary name, is synced, and is renamed into place. What a user names is opened by
`opened`, which refuses folders, devices, pipes and sockets: reading them would wait for ever, or never end.
"""

import os
import secrets
import stat
from io import BufferedReader
from pathlib import Path

from quantmis.errors import UserError, require

READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
PRIVATE_FILE, PRIVATE_FOLDER, SHARED_FILE = 0o600, 0o700, 0o666
"""Permissions of what is new, less those that the umask of the process takes away."""

BLOCK = 2**20
NEIGHBOURS = 5
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def opened(path: Path, what: str = "") -> BufferedReader:
    """Open a regular file to read its bytes, links followed; `what` begins the message where it is none.

    Raises `UserError` for a folder, a device, a pipe or a socket, which are not opened, and for what is missing or may
    not be read.
    """
    called = f"{what}: " if what else ""
    try:
        _require_regular(os.stat(path), path, called)
        handle = os.open(path, READ)
        try:
            _require_regular(os.fstat(handle), path, called)  # it may have been exchanged for a pipe meanwhile
        except UserError:
            os.close(handle)
            raise
    except (OSError, ValueError) as error:
        raise unreadable(path, what, error) from error
    return open(handle, "rb")


def _require_regular(status: os.stat_result, path: Path, called: str) -> None:
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "no file")
    require(stat.S_ISREG(status.st_mode), f"{called}{path} is {kind}", hint="name a file")


def unreadable(path: Path, what: str, error: Exception) -> UserError:
    """Return what to raise where the system refuses to open a file."""
    called = f"{what}: " if what else ""
    why = getattr(error, "strerror", None) or str(error)
    return UserError(f"{called}cannot read {path}: {why}", hint="is it a file, and may you read it?")


def content_of(path: Path, what: str = "", most: int | None = None) -> bytes:
    """Return the bytes of a regular file; `UserError` as `opened` raises it, and for more than `most` bytes."""
    with opened(path, what) as stream:
        try:
            content = stream.read() if most is None else _some(stream, most + 1)
        except OSError as error:
            raise unreadable(path, what, error) from error
    if most is not None and len(content) > most:
        raise UserError(f"{what}: {path} is larger than {most:,} bytes".lstrip(": "))
    return content


def _some(stream: BufferedReader, most: int) -> bytes:
    """Return the first bytes of a stream, `most` at most, without a buffer of that size."""
    blocks = list[bytes]()
    while most and (block := stream.read(min(most, BLOCK))):
        blocks.append(block)
        most -= len(block)
    return b"".join(blocks)


def write_atomically(path: Path, content: bytes, private: bool = True) -> None:
    """Write `content` under a temporary name beside `path`, sync it, and rename it into place.

    A new file is its owner's alone where it is `private`, and in any case what the umask leaves; one that is replaced
    keeps its permissions.
    """
    name = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        handle = _created(name, path, PRIVATE_FILE if private else SHARED_FILE)
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        name.replace(path)
    except (OSError, ValueError) as error:
        name.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


def _created(name: Path, path: Path, mode: int) -> int:
    """Return the handle of a new file, with the permissions of `path` where that is there already."""
    before = path.lstat() if os.path.lexists(path) else None
    handle = os.open(name, CREATE, mode)
    if before is not None and stat.S_ISREG(before.st_mode):
        name.chmod(stat.S_IMODE(before.st_mode) & SHARED_FILE)
    return handle


def private_folder(path: Path, may_be_link: bool = False) -> Path:
    """Return a folder that is made where it is missing, its owner's alone; folders above it as the umask says.

    `UserError` for a link, where none `may_be`: what is written into it would land somewhere else.
    """
    require(may_be_link or not path.is_symlink(), f"{path} is a link", hint="remove it; an audit makes folders itself")
    try:
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot make the folder {path}: {why}", hint="choose another --out") from error
    return path


def _cannot_write(path: Path, error: Exception) -> UserError:
    why = getattr(error, "strerror", None) or str(error)
    return UserError(f"cannot write {path}: {why}", hint="free some space or choose another --out folder")


def nearby(path: Path) -> str:
    """Name what lies beside a missing file, those of the same kind first."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = sorted(each.name for each in path.parent.iterdir() if not each.name.startswith("."))
    same = [name for name in names if name.endswith(path.suffix)] or names
    listing = ", ".join(same[:NEIGHBOURS]) + (" and others" if len(same) > NEIGHBOURS else "")
    return f"beside it there is {listing}" if same else f"{path.parent} is empty"
