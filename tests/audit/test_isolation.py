"""No attack touches the truth: cheats find it in the process that holds it, and not in theirs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leakaudit.audit.jobs.attack_process import AttackProcess, attempt_at, serve
from leakaudit.audit.jobs.processes import Ended, Events, HelperProcesses, Job, Limits, run_jobs
from leakaudit.audit.storage.patient_file import SharedPatients, share
from leakaudit.config import PluginUse, expand
from leakaudit.contracts import Attack, AttackFacts, AttackUse, Attempt, Capability, Observation
from leakaudit.data import CANONICAL, Cohort, Patient
from leakaudit.isolation.forking import server
from leakaudit.isolation.sandbox import Confinement, confinement_of
from leakaudit.types import Images, SiteLevels
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.decoder_inversion import DecoderInversion
from tests.audit.cheats import ANYWHERE, NAMESPACES, Cheat, flipped
from tests.audit.test_executors import _alive, _descendants, _line
from tests.tiny import tiny_observation, tiny_patients

pytestmark = pytest.mark.slow  # every test starts whole processes

# A module that holds the truth, for whoever looks into modules.
HELD: list[Patient] = []


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A process that holds the truth in every way it may be held, and an observation of it."""

    victims: list[Patient]
    observation: Observation
    folders: tuple[str, ...]
    shared: SharedPatients
    port: int

    def cheat(self, how: str) -> Cheat:
        rows = np.ascontiguousarray(self.victims[0].images[self.victims[0].middle])
        (start,) = [int(np.flatnonzero(rows)[100])]
        return Cheat(
            how=how,
            masked=flipped(rows.reshape(-1)[start : start + 16].tobytes()).hex(),
            pid=os.getpid(),
            address=self.victims[0].images.ctypes.data
            + rows.nbytes * self.victims[0].middle
            + start * 4,
            folders=self.folders,
            port=self.port,
        )


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Truth]:
    victims = tiny_patients(2)
    observation = tiny_observation(
        "curious-server-with-encoder",
        expand("defense", PluginUse(name="gaussian-noise", parameters={"std": 1.0}))[0][1],
        victims=victims,
        auxiliary=tiny_patients(3, seed=9),
    )
    original = observation.query

    def query(images: Images, generator: torch.Generator) -> SiteLevels:
        assert victims  # a closure that holds the truth, as a careless one might
        return original(images, generator)

    held = {each: observation._get(each) for each in observation.granted}
    held[Capability.ENCODER_QUERIES] = query
    # The worst place for a run folder: inside a package of code that the attack may read.
    package = tmp_path / "site" / "a_package"
    folders = (package / "runs", package / "patients")
    for folder in folders:
        folder.mkdir(parents=True)
        np.savez(folder / "truth.npz", images=victims[0].images)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(sys.modules[__name__], "HELD", victims)
    cohort = Cohort(name="x", modalities=CANONICAL, patients=tuple(victims), simulated=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Truth(
            victims=victims,
            observation=Observation(threat="all", layout=observation.layout, held=held),
            folders=tuple(map(str, folders)),
            shared=share(cohort, tmp_path),
            port=server.getsockname()[1],
        )


def confinement(truth: Truth) -> Confinement:
    hidden = [Path(folder) for folder in truth.folders]
    modules = ("tests.audit.cheats", "leakaudit_attacks", "leakaudit_defenses")
    return confinement_of(modules, hidden=hidden)


def facts(attack: Attack) -> AttackFacts:
    """What an audit would know of an attack, had it asked."""
    cls, known = type(attack), AttackFacts.of(attack)
    point = f"{cls.__module__}:{cls.__qualname__}"
    return replace(known, use=AttackUse(name="x", point=point, parameters=known.configuration))


def serve_where_namespaces_are_refused(confined: Confinement, connection: Connection) -> None:
    # Linux gives a process with two threads no users of its own.
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    serve(confined, connection)


SERVE = {"namespaces": serve, "process": serve_where_namespaces_are_refused}


@contextmanager
def attack_process(
    confinement: Confinement, isolation: str = "namespaces"
) -> Iterator[AttackProcess]:
    context = server()
    near, far = context.Pipe()
    process = context.Process(target=SERVE[isolation], args=(confinement, far), daemon=True)
    process.start()
    far.close()
    try:
        where = AttackProcess(near, "x")
        if where.isolation != isolation:
            pytest.skip("this machine allows no namespaces")
        yield where
    finally:
        near.close()
        process.join(10)
        process.kill()
        process.join()


def quietly(done: int, total: int) -> None:
    pass


def attempt(truth: Truth, attack: Attack, where: AttackProcess | None = None) -> Attempt:
    if where is None:
        return attack(truth.observation, seed=1, progress=quietly)
    return attempt_at(where, facts(attack), truth.observation, seed=1, progress=quietly)


@pytest.mark.parametrize("how", [*ANYWHERE, *NAMESPACES])
def test_a_cheat_finds_the_truth_in_the_process_that_holds_it(how: str, truth: Truth) -> None:
    assert attempt(truth, truth.cheat(how)).reconstruction.notes


@pytest.mark.parametrize(
    ("how", "isolation"),
    [(how, "namespaces") for how in (*ANYWHERE, *NAMESPACES, "files_unmasked", "traced")]
    + [(how, "process") for how in ANYWHERE],
)
def test_a_cheat_finds_nothing_in_a_process_of_its_own(
    how: str, isolation: str, truth: Truth
) -> None:
    with attack_process(confinement(truth), isolation) as where:
        assert attempt(truth, truth.cheat(how), where).reconstruction.notes == ()


def test_the_folders_are_hidden_because_they_are_named(truth: Truth) -> None:
    named = confinement(truth)
    with attack_process(replace(named, hidden=named.hidden[1:])) as where:
        (found,) = attempt(truth, truth.cheat("files"), where).reconstruction.notes
    assert Path(found).parent == Path(truth.folders[0])


def test_without_namespaces_files_can_be_reached_and_the_record_says_so(truth: Truth) -> None:
    with attack_process(confinement(truth), "process") as where:
        assert where.isolation == "process"
        assert attempt(truth, truth.cheat("files"), where).reconstruction.notes


def test_a_driver_of_cuda_rules_out_namespaces(truth: Truth) -> None:
    near, far = server().Pipe()
    confined = replace(confinement(truth), cuda=True)
    process = server().Process(target=serve, args=(confined, far), daemon=True)
    process.start()
    far.close()
    where = AttackProcess(near, "x")
    assert where.isolation == "process"
    assert attempt(truth, truth.cheat("descriptors"), where).reconstruction.notes == ()
    process.join(10)


def test_mounts_that_are_refused_leave_the_view_of_files_as_it_was(tmp_path: Path) -> None:
    code = (
        "import os; from leakaudit.isolation.namespaces import own_everything\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        f"print(own_everything('/tmp', (), ()), os.path.exists({sys.executable!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split()[0] == "False", done.stderr


@pytest.mark.parametrize("isolation", ["namespaces", "process"])
@pytest.mark.parametrize(
    "attack", [ActivationInversion(iterations=5), DecoderInversion(steps=20, width=8)]
)
def test_an_attack_gives_the_same_in_its_own_process(
    attack: Attack, isolation: str, truth: Truth
) -> None:
    torch.set_num_threads(1)
    here = attempt(truth, attack)
    with attack_process(confinement(truth), isolation) as where:
        there = attempt(truth, attack, where)
    assert torch.equal(here.reconstruction.images, there.reconstruction.images)
    assert (here.queries, here.auxiliary_patients) == (there.queries, there.auxiliary_patients)
    for name in ("objective_first", "objective_last", "iterations", "notes"):
        assert getattr(here.reconstruction, name) == getattr(there.reconstruction, name)


def cell(argument: tuple[Any, ...], progress: Any, connection: Connection) -> None:
    attack, layout, held, path = argument
    observation = Observation(threat="all", layout=layout, held=held)
    where = AttackProcess(connection, "x")
    attempt_at(where, attack, observation, seed=1, progress=progress)
    path.touch()


def job(truth: Truth, how: str, path: Path) -> Job:
    held = {Capability.ACTIVATIONS: truth.observation.activations}
    argument = (facts(truth.cheat(how)), truth.observation.layout, held, path / how)
    helpers = HelperProcesses(work=serve, argument=confinement(truth), count=1)
    return Job(key=how, label=how, work=cell, argument=argument, helpers=helpers)


ENDS = {
    "exit_0": "its process ended early with exit code 0",
    "exit_5": "its process ended early with exit code 5",
    "segfault": "its process was killed by signal 11",
    "raises": "ValueError: the first line",
    "eat": "MemoryError: ",
}


def run(jobs: list[Job], seconds: float = 60.0, events: Events | None = None) -> dict[str, Ended]:
    limits = Limits(seconds=seconds, memory=3 * 10**9)
    return run_jobs(jobs, workers=1, limits=limits, events=events or Events())


def test_an_attack_that_ends_badly_fails_its_cell_with_the_reason(
    truth: Truth, tmp_path: Path
) -> None:
    ended = run([job(truth, how, tmp_path) for how in (*ENDS, "network")])
    assert ended.pop("network").state == "ok"
    assert {how: each.reason for how, each in ended.items()} == ENDS
    assert {each.state for each in ended.values()} == {"failed"}
    assert not (tmp_path / "exit_0").exists()


@pytest.mark.parametrize("how", ["hang", "busy"])
def test_an_attack_that_takes_too_long_is_killed_with_its_cell(
    how: str, truth: Truth, tmp_path: Path
) -> None:
    processes: set[int] = set()
    ended = run(
        [job(truth, how, tmp_path)],
        seconds=2.0,
        events=Events(started=lambda _: processes.update(_after(1.0))),
    )
    assert ended[how].reason == "took longer than 2 s"
    _wait_for_the_end_of(processes - _descendants(os.getpid()))


def _after(seconds: float) -> set[int]:
    time.sleep(seconds)
    return _descendants(os.getpid())


def _wait_for_the_end_of(processes: set[int]) -> None:
    until = time.monotonic() + 20
    while _alive(processes) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(processes)


def hang_in_a_cell(connection: Any, progress: Any, other: Connection) -> None:
    where = AttackProcess(other, "x")
    patients = tiny_patients(1)
    defense = expand("defense", PluginUse(name="identity"))[0][1]
    observation = tiny_observation(
        "curious-server", defense, victims=patients, auxiliary=tiny_patients(2, seed=9)
    )
    progress(1, 1)
    attempt_at(where, facts(Cheat(how="busy")), observation, seed=1, progress=progress)


def main() -> None:
    """Run a cell whose attack never ends, in a program of its own."""
    helpers = HelperProcesses(
        work=serve, argument=confinement_of(["tests.audit.cheats"], hidden=[]), count=1
    )
    job = Job(key="x", label="x", work=hang_in_a_cell, argument=None, helpers=helpers)
    run([job], events=Events(progressed=lambda *_: print("attacking", flush=True)))


def test_an_attack_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from tests.audit.test_isolation import main\nif __name__ == '__main__':\n    main()\n"
    )
    # These tests, before a library's package of that name.
    there = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, text=True, env=there
    )
    try:
        assert _line(process) == "attacking"
        time.sleep(0.5)
        children = _descendants(process.pid)
        # The server that forks, the tracker of resources, the cell, its attack's keeper, it.
        assert len(_alive(children)) >= 4
    finally:
        process.kill()
        process.communicate()
    _wait_for_the_end_of(children)
