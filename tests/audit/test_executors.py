"""Jobs end in every way there is; the others go on, and nobody outlives the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leakaudit.audit.jobs.processes import Ended, Events, Job, Limits, run_jobs
from leakaudit.errors import StoreError

pytestmark = pytest.mark.slow  # every test starts whole processes

MEMORY = 3 * 10**9
ENDS: dict[str, str] = {
    "raise": "ValueError: the first line",
    "raise nothing": "ValueError: ",
    "terminal codes": "ValueError: [U+001B][31mred",
    "exit 0": "its process ended early with exit code 0",
    "exit 3": "its process ended early with exit code 3",
    "sys.exit": "its process ended early with exit code 5",
    "segfault": "its process was killed by signal 11",
    "eat memory": "MemoryError: ",
}


def work(how: Any, progress: Callable[[int, int], None]) -> None:
    progress(1, 2)
    if isinstance(how, Path):
        how.write_text(str(os.getpid()))
    elif how == "raise":
        raise ValueError("the first line\nthe second")
    elif how == "raise nothing":
        raise ValueError
    elif how == "terminal codes":
        raise ValueError("\x1b[31mred")
    elif how == "exit 0":
        os._exit(0)
    elif how == "exit 3":
        os._exit(3)
    elif how == "sys.exit":
        sys.exit(5)
    elif how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "eat memory":
        eaten = [bytearray(10**9) for _ in range(4)]
        raise AssertionError(f"got {len(eaten)} GB")
    elif how == "hang":
        time.sleep(600)
    elif how == "busy":
        while True:
            pass
    elif how == "no space":
        raise StoreError("/runs/x: cannot be written (No space left on device)")


def job(key: str, how: object, *needs: str) -> Job:
    return Job(key=key, label=key, work=work, argument=how, needs=needs)


def run(
    *jobs: Job, workers: int = 2, seconds: float = 60.0, events: Events | None = None
) -> dict[str, Ended]:
    limits = Limits(seconds=seconds, memory=MEMORY)
    return run_jobs(jobs, workers=workers, limits=limits, events=events or Events())


def test_a_job_that_ends_badly_fails_with_the_reason_and_the_others_go_on(tmp_path: Path) -> None:
    bad = [job(how, how) for how in ENDS]
    good = [job(f"good {n}", tmp_path / str(n)) for n in range(3)]
    ended = run(good[0], *bad[:3], good[1], *bad[3:], good[2])
    assert {key: ended[key].reason for key in ENDS} == ENDS
    assert {ended[key].state for key in ENDS} == {"failed"}
    assert [ended[each.key].state for each in good] == ["ok"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]


@pytest.mark.parametrize("how", ["hang", "busy"])
def test_a_job_that_takes_too_long_is_timed_out(how: str, tmp_path: Path) -> None:
    ended = run(job("slow", how), job("after", tmp_path / "x"), workers=1, seconds=2.0)
    assert ended["slow"].state == "timed-out"
    assert ended["slow"].reason == "took longer than 2 s"
    assert ended["after"].state == "ok"


def test_no_more_memory_is_asked_for_than_the_machine_allows(tmp_path: Path) -> None:
    code = (
        "import os, resource; from pathlib import Path; from tests.audit.test_executors import *;"
        "os.setuid(65534); resource.setrlimit(resource.RLIMIT_DATA, (MEMORY // 2, MEMORY // 2));"
        "import leakaudit.audit.jobs.processes as e; e._limit_memory(MEMORY);"
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0] == MEMORY // 2);"
        "resource.setrlimit(resource.RLIMIT_DATA, (MEMORY // 4, MEMORY // 2));"
        "e._limit_memory(MEMORY // 8); print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", str(MEMORY // 8)], done.stderr


def test_a_need_comes_first_and_a_broken_one_fails_its_dependents(tmp_path: Path) -> None:
    order: list[str] = []
    events = Events(started=lambda each: order.append(each.key))
    ended = run(
        job("grandchild", tmp_path / "b", "child"),
        job("child", tmp_path / "a", "broken"),
        job("broken", "exit 3"),
        job("second", tmp_path / "d", "first", "done long ago"),
        job("first", tmp_path / "c"),
        events=events,
    )
    assert "ended early with exit code 3" in ended["child"].reason
    assert "ended early with exit code 3" in ended["grandchild"].reason
    assert ended["grandchild"].state == ended["child"].state == "not-run"
    assert order.index("first") < order.index("second")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "d"]


def test_what_needs_a_job_that_timed_out_is_not_run(tmp_path: Path) -> None:
    ended = run(job("slow", "hang"), job("child", tmp_path / "a", "slow"), seconds=1.0)
    assert ended["child"].state == "not-run"
    assert ended["child"].reason == "a job it depends on timed out: took longer than 1 s"


def test_every_job_has_a_process_of_its_own_and_its_events(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    events = Events(
        started=lambda each: heard.append((each.key, "started")),
        progressed=lambda each, done, total: heard.append((each.key, f"{done}/{total}")),
        ended=lambda each, end: heard.append((each.key, end.state)),
    )
    run(job("a", tmp_path / "a"), job("b", tmp_path / "b"), workers=1, events=events)
    pids = {int((tmp_path / name).read_text()) for name in "ab"}
    assert len(pids | {os.getpid()}) == 3
    assert heard == [(key, what) for key in "ab" for what in ("started", "1/2", "ok")]


def test_a_result_that_can_not_be_stored_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No space left"):
        run(job("full", "no space"), job("never", tmp_path / "x"), workers=1)
    assert not list(tmp_path.iterdir())


def _script(tmp_path: Path, hows: str) -> subprocess.Popen[str]:
    """A program of its own that runs jobs of this module."""
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nfrom test_executors import *\n"
        "if __name__ == '__main__':\n"
        "    say = Events(started=lambda j: print('started', j.key, flush=True),\n"
        "                 interrupted=lambda n: print('interrupted', n, flush=True),\n"
        f"                 progressed=lambda j, *_: Path({str(tmp_path)!r}, j.key).touch())\n"
        f"    print(run({hows}, events=say), flush=True)\n"
    )
    return subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _descendants(pid: int) -> set[int]:
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
    found, grew = {pid}, True
    while grew:
        more = {child for child, parent in parents.items() if parent in found} - found
        found, grew = found | more, bool(more)
    return found - {pid}


def _alive(pids: set[int]) -> set[int]:
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
    return {pid for pid, state in states.items() if state != "Z"}


def test_jobs_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    process = _script(tmp_path, "job('a', 'hang'), job('b', 'busy')")
    try:
        assert {_line(process), _line(process)} == {"started a", "started b"}
        # A job that has not begun dies of the closed pipe, however it is written.
        until = time.monotonic() + 60
        while not all((tmp_path / name).exists() for name in "ab") and time.monotonic() < until:
            time.sleep(0.05)
        assert all((tmp_path / name).exists() for name in "ab")
        children = _descendants(process.pid)
        assert len(_alive(children)) >= 3  # the server that forks, and two jobs
    finally:
        process.kill()
        process.wait()  # not for its output, whose pipe a job that lives on would hold open
    until = time.monotonic() + 20
    while _alive(children) and time.monotonic() < until:
        time.sleep(0.05)
    left = _alive(children)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert not left


def test_a_first_interrupt_waits_for_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    process = _script(tmp_path, "job('a', 'hang'), job('b', 'hang'), workers=1, seconds=6.0")
    assert _line(process) == "started a"
    process.send_signal(signal.SIGINT)
    assert _line(process) == "interrupted 1"
    out, err = process.communicate(timeout=30)
    assert "started b" not in out
    assert "KeyboardInterrupt" in err
    assert process.returncode == -signal.SIGINT


def test_a_second_interrupt_stops_what_runs(tmp_path: Path) -> None:
    process = _script(tmp_path, "job('a', 'hang')")
    assert _line(process) == "started a"
    children = _descendants(process.pid)
    process.send_signal(signal.SIGINT)
    assert _line(process) == "interrupted 1"  # said where nothing else waits, too
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode == -signal.SIGINT
    until = time.monotonic() + 20
    while _alive(children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(children)
