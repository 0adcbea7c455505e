"""Progress on stderr: bars on a terminal, a line per finished job elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from leakaudit.audit.jobs.processes import Ended, Events, Job
from leakaudit.cli.printing.messages import broken
from leakaudit.visible import made_visible


@contextmanager
def progress_events() -> Iterator[Events]:
    """Yield the events that show progress while the block runs."""
    console = Console(stderr=True)
    lines = _Lines(console)
    if console.is_terminal:
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=console,
        ) as progress:
            yield _Bars(progress, lines).events()
    else:
        yield lines.events()


class _Lines:
    """A line for every job that ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.jobs = self.ended_jobs = 0

    def events(self) -> Events:
        return Events(planned=self.planned, ended=self.ended, interrupted=self.interrupted)

    def planned(self, jobs: int, done: int) -> None:
        self.jobs, self.ended_jobs = jobs, done
        if done:
            self._print(f"{done} of {jobs} jobs were done before")

    def ended(self, job: Job, ended: Ended) -> None:
        self.ended_jobs += 1
        count = f"{self.ended_jobs:>{len(str(self.jobs))}}/{self.jobs}"
        text = f"{count} {ended.state:<9} {ended.seconds:6.1f} s  {job.label}"
        self._print(f"{text}: {ended.reason}" if ended.reason else text)

    def interrupted(self, running: int) -> None:
        self._print(f"interrupted: waiting for {running} running jobs; Ctrl-C again stops them")

    def _print(self, text: str) -> None:
        line, folded = made_visible(text, "line"), self.console.file.isatty()
        if folded:
            line = broken(line, self.console.width)
        self.console.print(line, markup=False, highlight=False, soft_wrap=not folded)


class _Bars:
    """A bar for every job that runs, below the lines."""

    def __init__(self, progress: Progress, lines: _Lines) -> None:
        self.progress = progress
        self.lines = lines
        self.bars: dict[str, TaskID] = {}

    def events(self) -> Events:
        return replace(
            self.lines.events(),
            started=self.started,
            progressed=self.progressed,
            ended=self.ended,
        )

    def started(self, job: Job) -> None:
        width = max(20, self.progress.console.width - 36)
        label = job.label
        if len(label) > width:
            label = f"{label[: width - 1]}\N{HORIZONTAL ELLIPSIS}"
        self.bars[job.key] = self.progress.add_task(label, total=None)

    def progressed(self, job: Job, done: int, total: int) -> None:
        self.progress.update(self.bars[job.key], completed=done, total=total)

    def ended(self, job: Job, ended: Ended) -> None:
        if job.key in self.bars:
            self.progress.remove_task(self.bars.pop(job.key))
        self.lines.ended(job, ended)
