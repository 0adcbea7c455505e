"""The two kinds of work a child process does: train a target, run a cell.

A job writes its result folder whole or raises. Only here do the truth and the reconstructions
meet, after the attack has returned.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
from safetensors.torch import save_file

from leakaudit.audit.attacking import AttackProcess, attempt_at
from leakaudit.audit.caveats import caveats
from leakaudit.audit.claims import checked_claim
from leakaudit.audit.mask_scoring import MaskScorer
from leakaudit.audit.match_scoring import MatchScorer, View
from leakaudit.audit.one_path import digest_of_middles, require_one_release
from leakaudit.audit.plans import CellPlan, TargetPlan
from leakaudit.audit.scoring import ImageScorer, judged
from leakaudit.audit.store import RunStore
from leakaudit.audit.systems import (
    WEIGHTS_FILE,
    People,
    Task,
    cell_victims,
    noise_to_signal,
    people_of,
    releases_per_patient,
    segmenter_of,
    trained_system,
    untrained_system,
    utility_of,
    victims_of,
)
from leakaudit.audit.tampering import untouched
from leakaudit.contracts import Attempt, Capability, PrivacyGuarantee, Progress
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.measure import controls
from leakaudit.measure import utility as dice
from leakaudit.randomness import derive_seed
from leakaudit.records import CellRecord, Cost, Guarantee, State, TargetRecord
from leakaudit.target.checkpoints import copy_epoch
from leakaudit.target.effects import Effects
from leakaudit.target.split_unet import parameter_count
from leakaudit.target.training import TrainingData, train
from leakaudit.threat.disguises import disguised
from leakaudit.threat.gradients import Companions
from leakaudit.threat.observing import observe
from leakaudit.threat.own_site import Returned
from leakaudit.threat.releasing import ReleasePath, digest_of, together
from leakaudit.threat.system import System, images_of, layout_of, masks_of
from leakaudit.types import SiteLevels

TARGET_FILE = "target.json"
CELL_FILE = "cell.json"
RECONSTRUCTIONS = "reconstructions.safetensors"


def train_target(task: Task, progress: Progress) -> None:
    """Train a target, measure what it is worth, and store both."""
    started = time.time()
    store, plan = RunStore(task.root), task.target
    people = people_of(task)
    system = untrained_system(task, people)
    victims = people.of(task.splits.victims)
    untrained = utility_of(system, victims)
    data = _training_data(people, task.splits.train, plan.spec.channels)
    validation = people.of(task.splits.validation)
    scratch = store.scratch(plan.key)
    with untouched(f"defense {plan.defense_name}", defense=system.defense):
        history = train(
            system.network,
            system.defense,
            data,
            plan.settings,
            seed=plan.seed,
            device=system.device,
            folder=scratch,
            progress=progress,
            validate=lambda _: utility_of(system, validation).mean.mean,
        )
    sums = [epoch["effects"] for epoch in history]
    training = Effects.summed(system.defense, "training", sums)
    inference = Effects(system.defense, "inference")
    released: list[SiteLevels] = []
    utility = utility_of(system, victims, released)
    trained_on = people.of(victims_of(task.splits, "training", plan.seed))
    total, by_level = noise_to_signal(system, victims, inference)
    releases = releases_per_patient(task, people)
    checked = checked_claim(
        plan.defense,
        system.defense,
        system.defense.guarantee(releases, reproducible=True),
        sites=len(plan.sites),
        releases=releases,
    )
    phases = (training, inference)
    off = [*(one.idle() for one in phases), *(one.too_quiet(releases) for one in phases)]
    idle = next(filter(None, [*off, checked.contradiction]), "")
    record = TargetRecord(
        **target_facts(plan),
        fitted_defense=repr(system.defense),
        utility=dice.beside_untrained(utility, untrained),
        untrained_dice=untrained.mean.mean,
        above_untrained=dice.gained(utility, untrained),
        noise_to_signal=total,
        noise_to_signal_by_level=by_level,
        guarantee=_guarantee(checked.claim, idle),
        effects=tuple(effect for phase in phases for effect in phase.records()),
        idle=idle,
        state=State.OK,
        released=digest_of(together(released)),
        released_of_training=digest_of_middles(system, trained_on),
        volatile=_volatile(started, device=str(system.device)),
    )
    weights = {
        name: t.detach().cpu().contiguous() for name, t in system.network.state_dict().items()
    }
    with store.commit("targets", plan.key) as folder:
        save_file(weights, folder / WEIGHTS_FILE)
        for epoch in plan.settings.kept:
            copy_epoch(scratch, epoch, folder)
        (folder / TARGET_FILE).write_text(record.model_dump_json(indent=1))
        (folder / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in history))
    shutil.rmtree(scratch, ignore_errors=True)


def run_cell(task: Task, progress: Progress, *connections: Connection) -> None:
    """Attack a trained target, measure the reconstruction against its controls, and store both.

    Args:
        task: what to attack.
        progress: told how far the attack is.
        connections: to `attacks_of` as many processes that serve attacks.
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
    victims = people.of(cell_victims(task))
    auxiliary = people.of(task.splits.auxiliary)
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
    held = _held_already(plan)
    figures: dict[str, Any]
    if isinstance(scorer, MatchScorer):
        seen = [attempt_on(next(processes), view=view) for view in scorer.views]
        figures = dict(scorer.figures(attempt.reconstruction, [one.reconstruction for one in seen]))
        negative = scorer.negative_control(figures["matching"])
    elif held is not None:
        # Who holds something of the victims needs no message to learn from it: that is the floor,
        # and with another patient's messages beside what is its own it must stay there.
        alone = attempt_on(next(processes), returned="nothing")
        scorer.hold_against(held, alone.reconstruction)
        misled = attempt_on(next(processes), returned="another's")
        negative = scorer.misled_control(misled.reconstruction, held)
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
    record = judged(
        CellRecord(
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
            volatile=_volatile(started),
        )
    )
    with store.commit("cells", plan.key) as folder:
        (folder / CELL_FILE).write_text(record.model_dump_json(indent=1))
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
    claim = _guarantee(
        system.defense.guarantee(releases_per_patient(task, people), reproducible=True), ""
    )
    # The bound is about what crosses for the victims; a claim about weights bounds none of that.
    bounded = (
        task.cell.threat.victims == "inference" and claim is not None and claim.bounds_releases
    )
    return ImageScorer(
        victims, auxiliary, others, names=names, segmenter=segmenter, bounded=bounded
    )


def attacks_of(plan: CellPlan) -> int:
    """How many attacks a cell runs at most, each in a process of its own."""
    if plan.attack.recovers == "identities":
        return 3
    return 1 + plan.attack.learns() if _held_already(plan) is None else 3


def _held_already(plan: CellPlan) -> str | None:
    """What the adversary has of the victims before anything comes back; None if nothing."""
    if Capability.OWN_MODALITIES in plan.threat.capabilities:
        return controls.OWN_IMAGES
    if Capability.HEAD_MESSAGES in plan.threat.capabilities:
        return controls.OWN_FEATURES
    return None


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
    """The training patients who are no victims, where batches are to be filled."""
    if plan.gradient_batch is None:
        return None
    alone = plan.gradient_batch == 1
    spared = {*cell_victims(task), *task.splits.repeats}
    others = [name for name in task.splits.train if name not in spared]
    return Companions(batch=plan.gradient_batch, patients=() if alone else people.of(others))


def target_facts(plan: TargetPlan) -> dict[str, Any]:
    """What a target's record says whether or not the training ended well."""
    spec = plan.spec
    held = "+".join(modality for site in plan.sites for modality in site)
    return {
        "target": plan.key,
        "kind": plan.kind,
        "site": held if plan.kind == "single-site" else "",
        "sites": plan.sites,
        "cut_level": spec.cut_level,
        "shared_skips": spec.shared_skips,
        "bottleneck": spec.bottleneck,
        "features": spec.features,
        "parameters": parameter_count(spec),
        "defense": repr(plan.defense),
        "seed": plan.seed,
        "control_only": plan.control_only,
        "epochs": plan.settings.epochs,
    }


def cell_facts(plan: CellPlan) -> dict[str, Any]:
    """What a cell's record says whether or not the attack ran."""
    return {
        "cell": plan.key,
        "target": plan.target.key,
        "cut_level": plan.target.spec.cut_level,
        "shared_skips": plan.target.spec.shared_skips,
        "bottleneck": plan.target.spec.bottleneck,
        "defense": repr(plan.target.defense),
        "attack": repr(plan.attack),
        "attack_name": plan.attack_name,
        "threat": plan.threat.name,
        "site": plan.held,
        "recovers": plan.attack.recovers,
        "tensor": plan.attack.reads(),
        "victims": plan.threat.victims,
        "releases": plan.releases,
        "gradient_batch": plan.gradient_batch,
        "gradient_checkpoints": plan.gradient_checkpoints,
        "round_steps": plan.round_steps,
        "seed": plan.target.seed,
        "control_only": plan.control_only,
        "disguise": plan.disguise.words if plan.disguise else "",
    }


def _training_data(people: People, ids: Sequence[str], channels: tuple[int, ...]) -> TrainingData:
    """All tumour-bearing slices; a large cohort is never in memory twice."""
    chosen = {p.id: list(p.tumour_slices) for p in people.each(ids)}
    slices = sum(len(indices) for indices in chosen.values())
    if not slices:
        raise CellError("no slice of any training patient bears a tumour")
    images, masks = torch.empty(0), torch.empty(0)
    start = 0
    owners = [number for number, each in enumerate(chosen.values()) for _ in each]
    for patient in people.each(ids):
        of_patient = images_of(patient)[chosen[patient.id]], masks_of(patient)[chosen[patient.id]]
        if not start:
            images, masks = (part.new_empty(slices, *part.shape[1:]) for part in of_patient)
        end = start + len(of_patient[0])
        images[start:end], masks[start:end] = of_patient
        start = end
    return TrainingData(
        views=tuple(images.split(list(channels), dim=1)),
        masks=masks,
        patients=torch.tensor(owners),
    )


def _guarantee(claim: PrivacyGuarantee | None, idle: str) -> Guarantee | None:
    """What is recorded of a claim; of a defense that was off, that nothing is claimed and why."""
    if claim is None:
        return None
    if idle:
        claim = claim.withdrawn(idle)
    return Guarantee(
        claimed=claim.claimed,
        epsilon=claim.epsilon,
        delta=claim.delta,
        releases=claim.releases,
        mechanism=claim.mechanism,
        assumptions=claim.assumptions,
        reason=claim.reason,
        mu=claim.mu,
        clip=claim.clip,
        covers=claim.covers,
    )


def _volatile(started: float, **more: Any) -> dict[str, Any]:
    return {"seconds": time.time() - started, "pid": os.getpid(), "started": started, **more}
