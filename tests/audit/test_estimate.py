"""What `plan` says of a run's duration grows with the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.planning.estimate import estimate_minutes
from leakaudit.audit_file import parse_audit


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
