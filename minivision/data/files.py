"""Writing a file so that a crash, a full disk or Ctrl-C never leaves half of it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, sync: bool = True) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; the file appears whole when the block ends, or not at all.

    The bytes go to a hidden temporary file in the same folder, which takes the place of `path` in one step (`os.replace`)
    when the block ends without an exception. At every moment `path` is either the previous file or the new one.

    Parameters
    ----------
    path : the file to write; its folder must exist. A symbolic link is followed.
    sync : wait until the bytes are on the disk (fsync) before replacing. `False` is faster by milliseconds per file and
        right for files that can be made again.

    Raises
    ------
    OSError : the disk is full, the folder is missing or not writable, ... The type is the operating system's
        (`PermissionError`, `FileNotFoundError`, ...); the message names the file and says that the previous one is intact.

    >>> with atomic_write("weights.bin") as file:       # doctest: +SKIP
    ...     file.write(b"...")
    """
    target = Path(os.path.realpath(path))
    # A device or a pipe (/dev/stdout) cannot be replaced by a file: it is written through.
    through = target.exists() and not target.is_file() and not target.is_dir()
    temporary = target if through else target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb" if through else "xb") as file:
            yield file
            file.flush()
            if sync and not through:
                os.fsync(file.fileno())
        if not through:
            os.replace(temporary, target)
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(temporary):
            raise  # another file's error, raised by the code inside the block
        raise _explained(error, target) from error
    finally:
        if not through:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)  # gone already after a successful replace


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create the folder `path` with its parents if it is not there, and return it.

    Raises an `OSError` of the operating system's type that names the folder when it cannot be created.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise FileExistsError(error.errno, f"could not create the folder {folder}: a file of that name exists") from error
    except OSError as error:
        raise OSError(error.errno, f"could not create the folder {folder}: {error.strerror}") from error
    return folder


def _explained(error: OSError, target: Path) -> OSError:
    """Return an error of the same type that says which file could not be written and what became of the old one."""
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        reason = f"the folder {target.parent} does not exist"
    fate = "; the previous file is intact" if target.is_file() else ""
    message = f"could not write {target}: {reason}{fate}"
    return OSError(message) if error.errno is None else OSError(error.errno, message)
