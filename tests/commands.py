"""Runs the installed command in processes that are forked from a warm one.

A command imports PyTorch, MONAI and SciPy for four CPU seconds before it does anything, and the
server of its jobs does so again. Here one process imports them for all commands; each command and
each server of jobs is a fork of it. A command has its own arguments, folder, environment, output
and exit code. Tests of imports, signals and terminals start the program itself.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import util
from pathlib import Path
from typing import Any

PATIENCE = 300.0
# The commands, and what they and their jobs import on their way.
MODULES = (
    *("compare", "catalog", "disguises", "dp", "gate", "init", "plan", "report", "run", "schema"),
    *("table", "verify"),
)
MORE = ("leakaudit.audit.jobs.preload", "leakaudit_defenses", "scipy.stats", "skimage.metrics")


class WarmCommands:
    """The client: starts the warm process, and asks it for one command at a time."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._socket, far = socket.socketpair()
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(far.fileno()), program],
            pass_fds=[far.fileno()],
            stdin=subprocess.DEVNULL,
        )
        far.close()

    def run(
        self, arguments: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run ``leakaudit`` with these arguments to its end."""
        asked = json.dumps([[str(each) for each in arguments], str(cwd), dict(environment)])
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            # The length first, with the files that it writes into.
            header = len(asked.encode()).to_bytes(8)
            socket.send_fds(self._socket, [header], [out.fileno(), err.fileno()])
            self._socket.sendall(asked.encode())
            child = self._number()
            self._socket.settimeout(PATIENCE)
            try:
                status = self._number()
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                raise
            finally:
                self._socket.settimeout(None)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(
                [self._program, *arguments],
                os.waitstatus_to_exitcode(status),
                out.read(),
                err.read(),
            )

    def close(self) -> None:
        self._socket.close()
        self._server.wait(30)

    def _number(self) -> int:
        return int.from_bytes(_received(self._socket, 8))


def _received(connection: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise EOFError("the other end is gone")
        parts += part
    return parts


def _serve(connection: socket.socket, program: str) -> None:
    """Fork for each command that is asked for; tell its process and, at its end, its status."""
    sys.path[0] = os.path.dirname(program)  # as the program itself has it
    for name in MODULES:
        importlib.import_module(f"leakaudit.cli.commands.{name}")
    for name in MORE:
        importlib.import_module(name)
    gc.freeze()  # else a collection in a child copies every page that it looks at
    while True:
        header, files, _, _ = socket.recv_fds(connection, 8, 2)
        if not header:
            return
        arguments, folder, environment = json.loads(
            _received(connection, int.from_bytes(header)).decode()
        )
        child = os.fork()
        if not child:
            connection.close()
            _become(program, arguments, folder, environment, files)
            return
        for each in files:
            os.close(each)
        connection.sendall(child.to_bytes(8))
        _, status = os.waitpid(child, 0)
        connection.sendall(status.to_bytes(8))


def _become(
    program: str,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    files: list[int],
) -> None:
    """Be the program, as if this process had been started as it."""
    for number, each in enumerate(files, start=1):
        os.dup2(each, number)
        os.close(each)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    first = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[1:] = [*first, *(each for each in sys.path[1:] if each not in first)]
    importlib.invalidate_caches()
    sys.argv = [program, *arguments]
    _fork_server_of_jobs()
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # taking down all that was imported costs two seconds


def _fork_server_of_jobs() -> None:
    """Fork now, before there are patients, what becomes the server of jobs once one is started."""
    here, there = socket.socketpair()
    child = os.fork()
    if not child:
        here.close()
        message, files, _, _ = socket.recv_fds(there, 1 << 16, 8)
        if not message:
            os._exit(0)  # the command ended without a job
        code, numbers, environment = json.loads(message)
        os.environ.clear()
        os.environ.update(environment)
        high = [fcntl.fcntl(each, fcntl.F_DUPFD, 1000) for each in files]  # clear of the numbers
        for number, each in zip(numbers, high, strict=True):
            os.dup2(each, number)
        exec(code, {})
        os._exit(0)
    there.close()
    start = util.spawnv_passfds

    def forked(path: bytes, arguments: Sequence[Any], files: Sequence[int]) -> int:
        code: str = arguments[-1]
        if not code.startswith("from multiprocessing.forkserver import main;"):
            return start(path, arguments, files)
        util.spawnv_passfds = start  # a second server is started as the first would have been
        message = json.dumps([code, list(files), dict(os.environ)]).encode()
        socket.send_fds(here, [message], files)
        here.close()
        return child

    setattr(util, "spawnv_passfds", forked)  # noqa: B010  (its parameters have other names)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
