"""Atomic writing: the file is the old one or the new one, and errors say which."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from minivision.data.files import atomic_write, make_folder


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "weights.bin"
    for content in (b"first", b"second, longer"):
        with atomic_write(path) as file:
            file.write(content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["weights.bin"]


def test_previous_file_stands_until_the_block_ends(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def write(path, content=b"new", error=None):
    """Write atomically; with `error`, fail in the middle."""
    with atomic_write(path) as file:
        file.write(content)
        if error:
            raise error


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt()])
def test_exception_in_the_block_keeps_the_previous_file(tmp_path, error):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        write(path, error=error)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["weights.bin"]


def test_disk_full_names_the_file_and_keeps_the_previous_one(tmp_path, monkeypatch):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = r"could not write .*weights.bin: No space left on device; the previous file is intact"
    with pytest.raises(OSError, match=message) as caught:
        write(path)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["weights.bin"]


def test_type_of_the_error_is_kept(tmp_path, monkeypatch):
    def forbidden(source, target):
        raise PermissionError(errno.EACCES, "Permission denied", source)

    monkeypatch.setattr(os, "replace", forbidden)
    with pytest.raises(PermissionError, match=r"could not write .*weights.bin: Permission denied$"):
        write(tmp_path / "weights.bin")
    assert os.listdir(tmp_path) == []


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"could not write .*file.bin: the folder .*missing does not exist"):
        write(tmp_path / "missing" / "file.bin")


def test_error_of_another_file_inside_the_block_is_not_blamed_on_this_one(tmp_path):
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "input.bin")
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "out.bin", error=error)
    assert caught.value is error


def test_symbolic_link_is_followed(tmp_path):
    real, link = tmp_path / "real.bin", tmp_path / "link.bin"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    with atomic_write(tmp_path / "atomic"):
        pass
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "atomic")]
    assert modes[0] == modes[1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the always-full device of Linux")
def test_device_is_written_through_and_stays_a_device():
    with pytest.raises(OSError, match=r"could not write /dev/full: No space left on device$"):
        write("/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_killed_process_leaves_the_previous_file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    code = (
        "import os, sys\nfrom minivision.data.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n    file.write(b'n' * 100_000)\n    file.flush()\n    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert path.read_bytes() == b"old"


def test_make_folder(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"could not create the folder .*file: a file of that name exists"):
        make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError, match=r"could not create the folder .*below: Not a directory"):
        make_folder(tmp_path / "file" / "below")
