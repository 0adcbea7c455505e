"""What `plan` says of a run's duration grows with the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.planning.estimate import estimate_minutes
from leakaudit.audit_file import parse_audit
from leakaudit.contracts import Attack, AttackFacts, Work
from leakaudit.registry import usable

# Fields of the built-in attacks that say how much is done.
COUNTS = (
    *("iterations", "steps", "rounds", "passes", "batches", "restarts", "examples"),
    *("decoder_steps", "weight_steps", "image_steps", "batch_size"),
)


def test_slices_that_fill_a_batch_cost_as_much_as_the_victims(tiny_audit: dict[str, Any]) -> None:
    # Timings of a network are taken once, so that the two estimates differ by the work alone.
    minutes = []
    for batch in (1, 8):
        audit = tiny_audit | {
            "attacks": ["learned-gradient-inversion"],
            "threats": ["aggregator-alone"],
            "gradient_batch": batch,
            "data": {"size": 32, "phantom": {"patients": 12, "slices": 8, "seed": 0}},
        }
        config = parse_audit(json.dumps(audit).encode(), "audit", folder=Path("/"))
        minutes.append(estimate_minutes(plan_audit(config)))
    assert minutes[1] > 1.5 * minutes[0]


def test_every_attack_says_how_much_work_it_is() -> None:
    for plugin in usable("attack")[0]:
        counts = [name for name in COUNTS if name in plugin.parameters]
        assert counts or not plugin.parameters, plugin.name
        for name in counts:
            less, more = (plugin.make({name: count}) for count in (20, 40))
            assert isinstance(less, Attack)
            assert isinstance(more, Attack)
            said, then = less.work(), more.work()
            assert size_of(said) < size_of(then), (plugin.name, name)
            assert AttackFacts.of(less).work == said


def size_of(work: Work) -> int:
    return work.passes * (work.samples or 1) + work.examples + work.batches
