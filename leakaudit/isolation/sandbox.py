"""Confines a process before a plug-in's code runs in it: what it inherits, and what it can reach.

Everywhere: a process that was forked before there were patients, without environment, arguments,
descriptors but its pipe, or terminal, in an empty folder. On Linux, where users may have
namespaces: no network, no other process, and no file but the system's libraries and Python's code.
"""

from __future__ import annotations

import multiprocessing
import os
import posix
import shutil
import signal
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import wait
from pathlib import Path
from typing import Literal, final

from leakaudit.isolation import namespaces

Isolation = Literal["namespaces", "process"]

# What a driver reads that has no other way to be told which device to use.
_OF_CUDA = ("CUDA", "CUBLAS", "NVIDIA", "PYTORCH_CUDA", "LD_LIBRARY_PATH")


@final
@dataclass(frozen=True, kw_only=True)
class Confinement:
    """The files that an attack may still see, as plain text; reading it imports no plug-in.

    Args:
        readable: files and folders of code.
        hidden: folders that stay hidden even if they lie in one of these.
        cuda: leave the process what a CUDA driver needs, which rules out namespaces.
    """

    readable: tuple[str, ...]
    hidden: tuple[str, ...]
    cuda: bool = False


def confinement_of(
    modules: Iterable[str], *, hidden: Sequence[Path], cuda: bool = False
) -> Confinement:
    """The code that this process could import, and nothing of ``hidden``.

    Args:
        modules: names of modules whose packages must be there, wherever they lie. None of them is
            imported.
        hidden: run folder, data folder, cache.
        cuda: see `Confinement`.
    """
    readable = [sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib")]
    readable += [sysconfig.get_paths()["platlib"]]
    readable += [os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)]
    for top in dict.fromkeys(module.partition(".")[0] for module in modules):
        readable += _files_of(top)
    readable = [os.path.abspath(path) for path in readable if path]
    for entry in map(os.path.abspath, sys.path):
        if not any(Path(entry).is_relative_to(path) for path in readable):
            # A folder of code may hold runs and data as well: of it the code alone.
            readable += _code_in(Path(entry)) if os.path.isdir(entry) else [entry]
    return Confinement(
        readable=tuple(dict.fromkeys(readable)),
        hidden=tuple(os.path.realpath(path) for path in hidden),
        cuda=cuda,
    )


def _files_of(package: str) -> list[str]:
    """Where a top-level package or module lies."""
    try:
        spec = find_spec(package)
    except ValueError:  # a module that was not imported in the usual way, which has no files
        return []
    if spec is None:
        return []
    own = [spec.origin] if spec.has_location and spec.origin else []
    return [*(spec.submodule_search_locations or ()), *own]


def _code_in(folder: Path) -> list[str]:
    return [
        str(path)
        for path in folder.iterdir()
        if path.suffix in (".py", ".so", ".dist-info", ".egg-info")
        or (path.name.isidentifier() and path.is_dir() and any(path.glob("*.py")))
    ]


def run_confined(confinement: Confinement, keep: int, inside: Callable[[Isolation], None]) -> str:
    """Run ``inside`` in a confined child of this process, which has a single thread.

    Args:
        confinement: what it may see.
        keep: the one descriptor that it keeps.
        inside: told how it is isolated.

    Returns:
        How it ended, in words that follow "its process".
    """
    scratch = tempfile.mkdtemp(prefix="leakaudit-")
    own = not confinement.cuda and namespaces.own_users_and_processes()
    child = os.fork()
    if not child:
        code = 1
        try:
            _die_with_parent()
            _forget(confinement.cuda)
            isolation: Isolation = "process"
            if own and namespaces.own_everything(scratch, confinement.readable, confinement.hidden):
                isolation = "namespaces"
            _close_all_but(keep)
            os.chdir(scratch)
            inside(isolation)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        finally:
            os._exit(code & 0xFF)
    status = _status_of(child)
    shutil.rmtree(scratch, ignore_errors=True)
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by signal {-code}" if code < 0 else f"ended early with exit code {code}"


def _status_of(child: int) -> int:
    """Wait for the child to end, or end with the process that runs the jobs, however it does.

    No thread can do that: Linux lets a process whose children have other namespaces start none.
    """
    parent = multiprocessing.parent_process()
    watched: list[int] = [] if parent is None else [parent.sentinel]
    descriptor = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
    while True:
        ended = wait([*watched, *([] if descriptor is None else [descriptor])], timeout=0.5)
        if any(each in ended for each in watched):
            os.kill(child, signal.SIGKILL)
            os._exit(1)
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status


def _die_with_parent() -> None:
    if sys.platform == "linux":
        namespaces.die_with_parent()
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _forget(cuda: bool) -> None:
    """Drop what the process inherited in its own memory, except the code that it imported."""
    kept = {k: v for k, v in os.environ.items() if cuda and k.startswith(_OF_CUDA)}
    os.environ.clear()
    posix.environ.clear()
    if sys.platform == "linux":
        with suppress(OSError):
            namespaces.wipe_start_of_stack()
    os.environ.update(kept)
    sys.argv[:] = [""]
    sys.orig_argv[:] = [""]
    process = multiprocessing.current_process()
    process.authkey = b"none"
    for name in ("_target", "_args", "_kwargs"):
        setattr(process, name, None)
    multiprocessing.process.ORIGINAL_DIR = None  # type: ignore[attr-defined]


def _close_all_but(keep: int) -> None:
    """Close every descriptor; what is printed goes nowhere, and there is no terminal."""
    with suppress(OSError):
        os.setsid()
    nowhere = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    last = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, keep)
    os.closerange(keep + 1, last)
