"""What the draws of a release do to a figure: one network, one attack, the victims released anew.

An audit scores one release of each victim. Where few numbers are drawn for it, such as which
channels are dropped, another draw gives another figure. The networks come from a finished run of
the same audit file by the same version.

Run: python benchmarks/other_draws.py AUDIT --data FOLDER --run runs/NAME --defense TEXT
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from leakaudit.api import Observation
from leakaudit.audit.jobs import _scorer
from leakaudit.audit.runner import plan_audit
from leakaudit.audit.scoring import ImageScorer
from leakaudit.audit.sharing import share
from leakaudit.audit.store import RunStore
from leakaudit.audit.systems import Task, cell_victims, people_of, trained_system
from leakaudit.cli.sources import read_config
from leakaudit.contracts import Reconstruction
from leakaudit.randomness import derive_seed
from leakaudit.threat.observing import observe
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.decoder_inversion import DecoderInversion
from leakaudit_attacks.decoding import decoded, joined, releases_of

ATTACKS = {"activation-inversion": ActivationInversion, "decoder-inversion": DecoderInversion}


def found_by(
    attack: ActivationInversion | DecoderInversion, passes: list[Observation], seed: int
) -> list[torch.Tensor]:
    """The victims' images from each pass; a decoder is trained once."""
    if isinstance(attack, ActivationInversion):
        each = [attack(one, seed=seed, progress=lambda *_: None) for one in passes]
        return [one.reconstruction.images for one in each]
    first = passes[0]
    learned = attack.learned(
        first.layout.crossing,
        first.auxiliary,
        lambda images, draws: joined(first.query(images, draws)),
        torch.Generator().manual_seed(seed),
        lambda *_: None,
        sites=len(first.layout.channels),
    )
    return [decoded(learned.decoder, releases_of(one), learned.reading) for one in passes]


def main() -> None:
    """Print a Markdown table, a row for each setting and attack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audit", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--run", type=Path, required=True, help="folder of the finished run")
    parser.add_argument(
        "--defense", required=True, help="a part of the defense as a table names it"
    )
    parser.add_argument("--passes", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    plan = plan_audit(read_config(given.audit, given.data))
    store = RunStore(given.run)
    patients = share(plan.cohort, store.root)
    print("| defense | attack | advantage by pass | lowest | highest |")
    print("| --- | --- | --- | --- | --- |")
    for cell in plan.matrix.cells:
        if given.defense not in repr(cell.target.defense) or cell.attack_name not in ATTACKS:
            continue
        task = Task(
            root=store.root,
            patients=patients,
            splits=plan.splits_of(cell.target),
            device=plan.config.device,
            target=cell.target,
            cell=cell,
        )
        people = people_of(task)
        system = trained_system(task, people, store)
        victims, auxiliary = people.of(cell_victims(task)), people.of(task.splits.auxiliary)
        scorer = _scorer(task, people, victims, auxiliary, system, store)
        assert isinstance(scorer, ImageScorer)
        passes = [
            observe(
                cell.threat,
                system,
                victims=victims,
                auxiliary=auxiliary,
                releases=1,
                first_release=number,
            )
            for number in range(given.passes)
        ]
        attack = ATTACKS[cell.attack_name](**dict(cell.attack.declared_use.parameters))
        seed = derive_seed(cell.target.seed, "cell")
        nothing = Reconstruction(
            images=torch.empty(0), objective_first=0.0, objective_last=0.0, iterations=0
        )
        gained = [
            scorer.figures(replace(nothing, images=images))["leakage"].advantage.mean
            for images in found_by(attack, passes, seed)
        ]
        told = ", ".join(f"{one:.3f}" for one in gained)
        print(
            f"| `{cell.target.defense!r}` | {cell.attack_name} | {told} | {min(gained):.3f} "
            f"| {max(gained):.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
