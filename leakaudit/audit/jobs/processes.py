"""Runs jobs side by side, each in a process of its own with one thread and a time limit.

Processes are forked from a server that has imported torch and MONAI and never touched CUDA. When
the parent dies, however it dies, its jobs end too. A first Ctrl-C lets running jobs end.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, final

from leakaudit.errors import AttackFailed, StoreError
from leakaudit.isolation.forking import server
from leakaudit.records import State
from leakaudit.visible import made_visible

_ENDED = {
    State.FAILED: "failed",
    State.TIMED_OUT: "timed out",
    State.NOT_RUN: "was not run",
}
JobFunction = Callable[..., None]


@final
@dataclass(frozen=True, kw_only=True)
class HelperProcesses:
    """Processes that are started with a job, connected to it by a pipe, and killed with it.

    Args:
        work: module-level function ``work(argument, connection)``; its process has one thread.
        argument: sent to each by pickle.
        count: how many, each with a pipe to the job.
    """

    work: Callable[[Any, Connection], None]
    argument: Any
    count: int


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work.

    Args:
        key: unique.
        label: a line for people.
        work: module-level function ``work(argument, progress, *connections)`` run in the child.
        argument: sent to the child by pickle.
        needs: keys of jobs that must end ``ok`` first.
        helpers: processes that are started with it; each has one of its connections.
    """

    key: str
    label: str
    work: JobFunction
    argument: Any
    needs: tuple[str, ...] = ()
    helpers: HelperProcesses | None = None


@final
@dataclass(frozen=True)
class Ended:
    """How a job ended, why if not ``ok``, and after how many seconds."""

    state: State
    reason: str
    seconds: float


@dataclass
class _Running:
    job: Job
    process: Any
    connection: Connection
    started: float
    helpers: list[Any]
    failure: str = ""
    no_store: bool = False
    finished: bool = False


@final
@dataclass
class Events:
    """Callbacks of a caller who follows the jobs; all are optional.

    ``planned`` is told how many jobs there are and how many of them are done already.
    """

    planned: Callable[[int, int], None] = field(default=lambda jobs, done: None)
    started: Callable[[Job], None] = field(default=lambda job: None)
    progressed: Callable[[Job, int, int], None] = field(default=lambda job, done, total: None)
    ended: Callable[[Job, Ended], None] = field(default=lambda job, ended: None)
    interrupted: Callable[[int], None] = field(default=lambda running: None)


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """The time and memory that a job may use.

    Args:
        seconds: after which it is killed and ``timed-out``.
        memory: bytes of its own data, beyond which it gets no more and fails; None for no limit.
            Each helper process has the same limit.
    """

    seconds: float
    memory: int | None = None


def run_jobs(
    jobs: Sequence[Job], *, workers: int, limits: Limits, events: Events
) -> dict[str, Ended]:
    """Run ``jobs`` in order as their needs are met, ``workers`` at a time.

    A job whose needs did not end ``ok`` is ``not-run``, with that reason. Jobs that are
    needed but not in ``jobs`` count as done.

    Returns:
        How each job ended, by key.

    Raises:
        StoreError: a job could not write its result; the others are stopped.
        KeyboardInterrupt: after a first Ctrl-C, once the running jobs have ended; at once after a
            second.
    """
    ended: dict[str, Ended] = {}
    with _first_interrupt_noted() as noted:
        _run_all(list(jobs), ended, noted, workers, limits, events)
    if noted:
        raise KeyboardInterrupt
    return ended


def _run_all(
    waiting: list[Job],
    ended: dict[str, Ended],
    noted: list[int],
    workers: int,
    limits: Limits,
    events: Events,
) -> None:
    context = server()
    known = {job.key for job in waiting}
    running: list[_Running] = []
    told = False
    try:
        while waiting or running:
            if noted and not told:
                told = True
                waiting.clear()
                events.interrupted(len(running))
            for job in list(waiting):
                needs = [key for key in job.needs if key in known]
                broken = [key for key in needs if key in ended and ended[key].state is not State.OK]
                if broken:
                    waiting.remove(job)
                    needed = ended[broken[0]]
                    reason = f"a job it depends on {_ENDED[needed.state]}: {needed.reason}"
                    ended[job.key] = Ended(State.NOT_RUN, reason, 0.0)
                    events.ended(job, ended[job.key])
                elif len(running) < workers and all(key in ended for key in needs):
                    waiting.remove(job)
                    running.append(_start(context, job, limits.memory))
                    events.started(job)
            _listen(running, events)
            for each in list(running):
                outcome = _outcome(each, limits.seconds)
                if outcome is not None:
                    running.remove(each)
                    ended[each.job.key] = outcome
                    events.ended(each.job, outcome)
                    if each.no_store:
                        raise StoreError(each.failure)
    finally:
        for each in running:
            _end(each)


@contextmanager
def _first_interrupt_noted() -> Iterator[list[int]]:
    """Yield a list that a first SIGINT is put into; a second one is a KeyboardInterrupt."""
    noted: list[int] = []

    def note(number: int, _: object) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield noted  # only the main thread may set a handler
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _start(context: Any, job: Job, memory: int | None) -> _Running:
    helpers, connections = [], []
    if job.helpers is not None:
        for _ in range(job.helpers.count):
            near, far = context.Pipe()
            arguments = (job.helpers, far, memory)
            process = context.Process(target=_beside, args=arguments, daemon=True)
            process.start()
            far.close()
            helpers.append(process)
            connections.append(near)
    parent, child = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(job.work, job.argument, child, memory, connections), daemon=True
    )
    process.start()
    for each in (child, *connections):
        each.close()
    return _Running(job, process, parent, time.monotonic(), helpers)


def _beside(helpers: HelperProcesses, connection: Connection, memory: int | None) -> None:
    _prepare(memory)
    helpers.work(helpers.argument, connection)


def _child(
    work: JobFunction,
    argument: Any,
    connection: Connection,
    memory: int | None,
    connections: Sequence[Connection],
) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.2 or done >= total:
            last = now
            connection.send(("progress", done, total))

    try:
        _prepare(memory)
        work(argument, progress, *connections)
    except StoreError as error:
        connection.send(("no store", str(error)))
    except Exception as error:
        own = "" if isinstance(error, AttackFailed) else f"{type(error).__name__}: "
        connection.send(("failed", f"{own}{error}".splitlines()[0][:500]))
    else:
        connection.send(("finished",))


def _prepare(memory: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    import torch

    torch.set_num_threads(1)
    if memory is not None:
        _limit_memory(memory)


def _limit_memory(wanted: int) -> None:
    """Allow this process as much data, or less where the machine already allows less."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _listen(running: list[_Running], events: Events) -> None:
    sources: list[Any] = [each.connection for each in running]
    sources += [each.process.sentinel for each in running]
    wait(sources, timeout=1.0)
    for each in running:
        with suppress(EOFError, OSError):
            while each.connection.poll():
                kind, *rest = each.connection.recv()
                if kind == "progress":
                    events.progressed(each.job, *rest)
                elif kind in ("failed", "no store"):
                    # A plug-in's words end on terminals: no control codes.
                    each.failure = made_visible(rest[0].replace("\n", " "), "line")
                    each.no_store = kind == "no store"
                else:
                    each.finished = True


def _end(each: _Running) -> None:
    if not each.process.is_alive():
        for process in each.helpers:
            process.join(5.0)  # its pipe is closed, so it is about to end in good order
    for process in (each.process, *each.helpers):
        process.kill()
        process.join()


def _outcome(each: _Running, limit: float) -> Ended | None:
    seconds = time.monotonic() - each.started
    if each.process.is_alive():
        if seconds <= limit:
            return None
        _end(each)
        return Ended(State.TIMED_OUT, f"took longer than {limit:.3g} s", seconds)
    each.process.join()
    _end(each)
    _listen([each], Events())  # what it said last
    each.connection.close()
    if each.finished:
        return Ended(State.OK, "", seconds)
    code = each.process.exitcode or 0
    how = f"was killed by signal {-code}" if code < 0 else f"ended early with exit code {code}"
    return Ended(State.FAILED, each.failure or f"its process {how}", seconds)
