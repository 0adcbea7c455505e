"""The run directory: whole results or none, and one run at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.errors import StoreError
from leakaudit.files import make_private_folder, write_atomically

HOLDER = """
import sys
from pathlib import Path
from leakaudit.audit.storage.run_folder import RunStore
with RunStore(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    made = RunStore(tmp_path / "run")
    made.prepare()
    for key in ("one", "two"):
        with made.commit("cells", key) as folder:
            (folder / "cell.json").write_text(f"{key} of two")
            (folder / "weights").write_bytes(bytes(range(200)))
    return made


def test_a_committed_folder_is_done_and_private(store: RunStore) -> None:
    folder = store.folder("cells", "one")
    assert store.is_done("cells", "one")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["key"] == "one"
    assert set(manifest["sha256"]) == {"cell.json", "weights"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    for private in (folder, store.root, store.root / "cells", store.root / "targets"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert not store.is_done("targets", "one")


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def swap(first: Path, second: Path) -> None:
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def nothing(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    (folder / "manifest.json").write_text('{"key": "one", "sha256": {}}')


def replace(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda f: os.truncate(f / "weights", 100),
    "emptied": lambda f: os.truncate(f / "weights", 0),
    "bit flipped": lambda f: flip(f / "weights"),
    "deleted": lambda f: (f / "weights").unlink(),
    "swapped files": lambda f: swap(f / "weights", f / "cell.json"),
    "swapped with another result's": lambda f: swap(f / "cell.json", f.parent / "two/cell.json"),
    "swapped results": lambda f: swap(f, f.parent / "two"),
    "added": lambda f: (f / "more").write_text("x"),
    "manifest deleted": lambda f: (f / "manifest.json").unlink(),
    "manifest truncated": lambda f: os.truncate(f / "manifest.json", 60),
    "manifest bit flipped": lambda f: flip(f / "manifest.json"),
    "manifest emptied": lambda f: (f / "manifest.json").write_text("{}"),
    "manifest of nothing": nothing,
    "manifest a list": lambda f: (f / "manifest.json").write_text('{"key": "one", "sha256": [1]}'),
    "replaced by a file": replace,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_result_is_not_done_and_can_be_redone(
    store: RunStore, damage: Callable[[Path], object]
) -> None:
    damage(store.folder("cells", "one"))
    assert not store.is_done("cells", "one")
    with store.commit("cells", "one") as folder:
        (folder / "cell.json").write_text("again")
    assert store.is_done("cells", "one")
    assert (store.folder("cells", "one") / "cell.json").read_text() == "again"


def test_a_result_that_was_not_finished_leaves_nothing(store: RunStore) -> None:
    def half() -> None:
        with store.commit("cells", "three") as folder:
            (folder / "cell.json").write_text("half")
            raise ValueError("killed")

    with pytest.raises(ValueError, match="killed"):
        half()
    assert sorted(path.name for path in (store.root / "cells").iterdir()) == ["one", "two"]


def test_clean_keeps_a_checkpoint_until_its_target_is_done(store: RunStore) -> None:
    for name in ("targets/.a.training", "targets/.b.training", "targets/.b.xyz", "cells/.c.xyz"):
        (store.root / name).mkdir()
    with store.commit("targets", "a") as folder:
        (folder / "target.json").write_text("done")
    store.clean()
    hidden = sorted(path.name for path in store.root.glob("*/.*"))
    assert hidden == [".b.training"]


def test_clean_removes_what_a_kill_left_of_the_report_and_the_audit(store: RunStore) -> None:
    store.report.mkdir()
    kept = [store.root / ".lock", store.report / "report.html", store.root / "audit.yaml"]
    rests = [store.root / ".audit.yaml.a1b2c3d4", store.report / ".report.html.a1b2c3d4"]
    for path in (*kept, *rests):
        path.write_text("x")
    store.clean()
    assert [path.exists() for path in (*kept, *rests)] == [True, True, True, False, False]


@pytest.fixture
def holder(store: RunStore) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, store.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_second_run_is_refused_and_told_who_holds_it(
    store: RunStore,
    holder: subprocess.Popen[str],
    tiny_audit: dict[str, Any],
    write_audit: Callable[..., Path],
    leakaudit: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    audit = {**tiny_audit, "name": store.root.name}
    file = write_audit(store.root.parent / "tiny.yaml", audit)
    done = leakaudit("run", file, "--out", store.root.parent, cwd=store.root.parent)
    assert done.returncode == 4
    assert done.stderr == f"leakaudit: {store.root}: in use by process {holder.pid}; wait for it\n"
    assert done.stdout == ""


def test_nothing_stays_locked_after_a_kill(store: RunStore, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(StoreError, match=f"process {holder.pid}"), store.locked():
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with store.locked():
        assert (store.root / ".lock").read_text() == str(os.getpid())
        with (store.root / ".lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named_as_such(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    told = rf"this file system has no locks \({os.strerror(number)}\).*by --out"
    with pytest.raises(StoreError, match=told), store.locked():
        pass


@pytest.mark.parametrize("place", ["file/run", "/proc/nowhere/run"])
def test_a_place_that_can_not_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    root = tmp_path / place
    with pytest.raises(StoreError, match=f"{root}: cannot be created"):
        RunStore(root).prepare()
    with pytest.raises(StoreError, match="cannot be"):
        make_private_folder(root)
    with pytest.raises(StoreError, match="cannot be written"):
        write_atomically(root, "x")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root and mount(8)")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("by", ["python", "safetensors"])
def test_a_full_disk_is_a_store_error_and_leaves_no_result(small_disk: Path, by: str) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    store = RunStore(small_disk / "run")
    store.prepare()

    def commit() -> None:
        with store.commit("cells", "big") as folder:
            if by == "python":
                (folder / "big").write_bytes(bytes(1_000_000))
            else:
                save_file({"big": np.zeros(1_000_000)}, folder / "big")

    with pytest.raises(StoreError, match=f"{store.folder('cells', 'big')}: cannot be written"):
        commit()
    assert not list((store.root / "cells").iterdir())
    with store.commit("cells", "small") as folder:
        (folder / "small").write_text("x")
    assert store.is_done("cells", "small")


def test_an_atomic_write_to_a_full_disk_leaves_the_old_file(small_disk: Path) -> None:
    file = small_disk / "file"
    write_atomically(file, "old")
    with pytest.raises(StoreError, match=r"cannot be written \(No space left"):
        write_atomically(file, bytes(1_000_000))
    assert file.read_text() == "old"
    assert [path.name for path in small_disk.iterdir()] == ["file"]
