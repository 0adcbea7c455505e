"""Progress on stderr: bars on a terminal, a line per finished job elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from leakaudit.audit.executors import Ended, Events, Job


@contextmanager
def progress_events() -> Iterator[Events]:
    """Yield the events that show progress while the block runs."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=console,
        ) as progress:
            yield _Bars(progress).events()
    else:
        yield Events(
            ended=lambda job, ended: _print_line(console, job, ended),
            interrupted=lambda running: _print_interrupted(console, running),
        )


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.bars: dict[str, TaskID] = {}

    def events(self) -> Events:
        return Events(
            started=self.started,
            progressed=self.progressed,
            ended=self.ended,
            interrupted=lambda running: _print_interrupted(self.progress.console, running),
        )

    def started(self, job: Job) -> None:
        width = max(20, self.progress.console.width - 36)
        self.bars[job.key] = self.progress.add_task(job.label[:width], total=None)

    def progressed(self, job: Job, done: int, total: int) -> None:
        self.progress.update(self.bars[job.key], completed=done, total=total)

    def ended(self, job: Job, ended: Ended) -> None:
        if job.key in self.bars:
            self.progress.remove_task(self.bars.pop(job.key))
        _print_line(self.progress.console, job, ended)


def _print_line(console: Console, job: Job, ended: Ended) -> None:
    text = f"{ended.outcome:>9}  {ended.seconds:6.1f} s  {job.label}"
    if ended.reason:
        text = f"{text}: {ended.reason}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _print_interrupted(console: Console, running: int) -> None:
    text = f"interrupted: waiting for {running} running jobs; Ctrl-C again stops them"
    console.print(text, markup=False, highlight=False)
