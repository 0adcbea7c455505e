"""The two kinds of work a child process does: train a target, run a cell.

A job writes its result folder whole or raises. Only here do the truth and the reconstructions
meet, after the attack has returned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
from safetensors.torch import save_file

from leakaudit.audit.jobs.attack_process import AttackProcess, attempt_at
from leakaudit.audit.jobs.release_check import require_one_release
from leakaudit.audit.planning.facts import cell_facts
from leakaudit.audit.planning.plans import CellPlan
from leakaudit.audit.scoring.candidates import MatchScorer, View
from leakaudit.audit.scoring.caveats import caveats
from leakaudit.audit.scoring.claims import recorded_guarantee
from leakaudit.audit.scoring.images import ImageScorer
from leakaudit.audit.scoring.masks import MaskScorer
from leakaudit.audit.storage.run_folder import (
    CELL_FILE,
    RECONSTRUCTIONS,
    TARGET_FILE,
    RunStore,
    volatile_facts,
)
from leakaudit.audit.storage.system import (
    People,
    Task,
    cell_victims,
    people_of,
    releases_per_patient,
    segmenter_of,
    trained_system,
)
from leakaudit.contracts import Attempt, Capability, Progress
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.randomness import derive_seed
from leakaudit.records import CellRecord, Cost, State, TargetRecord
from leakaudit.threat.disguises.composed import disguised
from leakaudit.threat.gradients import Companions
from leakaudit.threat.observing import observe
from leakaudit.threat.own_site import Returned
from leakaudit.threat.releasing import ReleasePath
from leakaudit.threat.system import System, layout_of


def run_cell(task: Task, progress: Progress, *connections: Connection) -> None:
    """Attack a trained target, measure the reconstruction against its controls, and store both.

    Args:
        task: what to attack.
        progress: told how far the attack is.
        connections: to `CellPlan.attack_runs` as many processes that serve attacks.
    """
    started = time.time()
    store, plan = RunStore(task.root), task.cell
    if plan is None:
        raise CellError("a cell job without a cell")
    people = people_of(task)
    system = trained_system(task, people, store)
    if plan.disguise is not None:
        system = disguised(system, plan.disguise)
    trained = store.folder("targets", plan.target.key) / TARGET_FILE
    target = TargetRecord.model_validate_json(trained.read_text())
    if target.idle:
        raise CellError(target.idle)
    victims = people.load(cell_victims(task))
    auxiliary = people.load(task.splits.auxiliary)
    scorer = _scorer(task, people, victims, auxiliary, system, store)
    seed = derive_seed(plan.target.seed, "cell")
    companions = _companions(task, plan, people)

    notes: dict[str, None] = {}
    processes = (AttackProcess(each, plan.attack_name) for each in connections)

    def attempt_on(
        where: AttackProcess,
        *,
        shuffled: bool = False,
        returned: Returned = "own",
        view: View = "as released",
    ) -> Attempt:
        paths: list[ReleasePath] = []
        observation = observe(
            plan.threat,
            system,
            victims=victims,
            auxiliary=auxiliary,
            releases=plan.releases,
            site=plan.site,
            training=people.each(task.splits.train),
            companions=companions,
            gradient_checkpoints=plan.gradient_checkpoints or None,
            round_steps=plan.round_steps or 1,
            shuffled=shuffled,
            returned=returned,
            candidates=scorer.candidates(view) if isinstance(scorer, MatchScorer) else None,
            first_release=plan.releases if view == "other pass" else 0,
            paths=paths,
        )
        found = attempt_at(
            where, plan.attack, observation, seed=seed, progress=progress, shuffled=shuffled
        )
        for path in paths:
            path.require_one_path()
        if view == "as released":
            one = require_one_release(plan, target, system, auxiliary, observation, paths[0])
            notes.update(dict.fromkeys(one))
        return found

    process = next(processes)
    attempt = attempt_on(process)
    held = plan.held_already
    figures: dict[str, Any]
    if isinstance(scorer, MatchScorer):
        seen = [attempt_on(next(processes), view=view) for view in scorer.views]
        figures = dict(scorer.figures(attempt.reconstruction, [one.reconstruction for one in seen]))
        negative = scorer.negative_control(figures["matching"])
    elif held is not None:
        # Who holds something of the victims needs no message to learn from it: that is the floor,
        # and with another patient's messages beside what is its own it must stay there.
        alone = attempt_on(next(processes), returned="nothing")
        scorer.raise_floor(held, alone.reconstruction)
        misled = attempt_on(next(processes), returned="another's")
        negative = scorer.swapped_messages_control(misled.reconstruction, held)
    else:
        negative = scorer.negative_control(attempt.reconstruction)
    if (
        not isinstance(scorer, MatchScorer)
        and plan.attack.learns()
        and negative.passed is False
        and held is None
    ):
        # What it learned of patients in general may beat any constant guess without knowing
        # anything of this one: hold it against the same network trained on shuffled pairs.
        twin = attempt_on(next(processes), shuffled=True)
        first = negative.detail
        negative = scorer.negative_control(attempt.reconstruction, twin.reconstruction)
        negative = negative.model_copy(update={"detail": f"{first}; {negative.detail}"})
    if not isinstance(scorer, MatchScorer):
        figures = dict(scorer.figures(attempt.reconstruction))
    record = CellRecord(
        **cell_facts(plan),
        state=State.OK,
        **figures,
        negative_control=negative,
        cost=Cost(
            iterations=attempt.reconstruction.iterations,
            queries=attempt.queries,
            auxiliary_patients=attempt.auxiliary_patients,
        ),
        isolation=process.isolation,
        notes=(
            *attempt.reconstruction.notes,
            *_length(plan, attempt, people, task),
            *notes,
        ),
        doubts=caveats(plan.attack, system, auxiliary[0]),
        volatile=volatile_facts(started),
    )
    if record.figures is None:
        raise CellError("the attack left no figures")
    with store.commit("cells", plan.key) as folder:
        # Which state the cell has is settled with those of its controls, in the report.
        left = record.model_dump_json(indent=1, exclude={"state", "reason"})
        (folder / CELL_FILE).write_text(left)
        name = "scores" if isinstance(scorer, MatchScorer) else "images"
        kept = {name: attempt.reconstruction.images.contiguous()}
        if scorer.own_guess is not None:  # no other guess is lost with this process
            kept["guess"] = torch.tensor(scorer.own_guess)
        save_file(kept, folder / RECONSTRUCTIONS)


def _scorer(
    task: Task,
    people: People,
    victims: Sequence[Patient],
    auxiliary: Sequence[Patient],
    system: System,
    store: RunStore,
) -> ImageScorer | MaskScorer | MatchScorer:
    assert task.cell is not None
    recovers = task.cell.attack.recovers
    if recovers == "masks":
        return MaskScorer(victims, auxiliary)
    if recovers == "identities":
        gallery = people.each(people.all_but({*task.splits.auxiliary, *task.splits.repeats}))
        return MatchScorer(victims, gallery, derive_seed(task.cell.target.seed, "cell"))
    spatial = victims[0].images.shape[2:]
    layout = layout_of(system, spatial, len(victims), site=task.cell.site)
    # Another scan of a person would be an impostor that is the victim.
    others = people.each(people.all_but({*task.splits.auxiliary, *task.splits.repeats}))
    names = task.cell.recovered
    if recovers == "other-site images":
        return ImageScorer(victims, auxiliary, others, modalities=layout.foreign, names=names)
    segmenter = segmenter_of(task, people, store)
    claim = recorded_guarantee(
        system.defense.guarantee(releases_per_patient(task, people), reproducible=True), ""
    )
    # The bound is about what crosses for the victims; a claim about weights bounds none of that.
    bounded = (
        task.cell.threat.victims == "inference" and claim is not None and claim.bounds_releases
    )
    return ImageScorer(
        victims, auxiliary, others, names=names, segmenter=segmenter, bounded=bounded
    )


def _length(plan: CellPlan, attempt: Attempt, people: People, task: Task) -> tuple[str, ...]:
    """How much longer than the audited one a hijacked training was."""
    if Capability.ACTIVE_MANIPULATION not in plan.threat.capabilities:
        return ()
    slices = sum(len(one.tumour_slices) for one in people.each(task.splits.train))
    return (
        f"The sites released {attempt.queries} slices to the hijacker, victims' included; the "
        f"audited training takes {slices * plan.target.settings.epochs}.",
    )


def _companions(task: Task, plan: CellPlan, people: People) -> Companions | None:
    """The training patients who are not victims, where batches are to be filled."""
    if plan.gradient_batch is None:
        return None
    alone = plan.gradient_batch == 1
    spared = {*cell_victims(task), *task.splits.repeats}
    others = [name for name in task.splits.train if name not in spared]
    return Companions(batch=plan.gradient_batch, patients=() if alone else people.load(others))
