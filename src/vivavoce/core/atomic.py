"""Files that are there wholly or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vivavoce.core.errors import StorageError

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


def storage_error(path: str | Path, error: OSError) -> StorageError:
    """The one sentence for a file that cannot be written."""
    why = _FULL.get(error.errno or 0, error.strerror or str(error))
    return StorageError(f"cannot write {path}: {why}; free some space or choose another folder")


def check_writable(path: str | Path) -> None:
    """Raises StorageError where a file at ``path`` cannot be written, as far as this is known before it is tried.

    For work that takes long, so that it is not lost at its end.
    """
    path = Path(path)
    if path.is_dir():
        raise StorageError(f"cannot write {path}: it is a folder; name a file in it")
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise StorageError(f"cannot write {path}: {folder} is a file; choose another folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write {path}: nothing may be written in {folder}; choose another folder")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` and moves it there when the block ends well.

    The temporary file keeps the suffix, since writers of audio and pictures look at it. Raises StorageError when the
    disk is full or the folder cannot be written; nothing half-written stays behind.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise storage_error(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
