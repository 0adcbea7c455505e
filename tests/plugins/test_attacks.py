"""Every built-in attack: installed, true to its contract, refused where it must be."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import pytest

from leakaudit.contracts import Attack, Attempt, Capability
from leakaudit.errors import ConfigError, NotGranted
from leakaudit.registry import usable
from leakaudit.testing import check_attack
from leakaudit.threat.presets import PRESETS
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.cut_gradient_inversion import CutGradientInversion
from leakaudit_attacks.decoder_inversion import DecoderInversion
from leakaudit_attacks.gradient_inversion import GradientInversion
from leakaudit_attacks.pseudo_client_inversion import PseudoClientInversion
from leakaudit_attacks.unsplit import Unsplit
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.gaussian_noise import GaussianNoise
from tests.plugins.attacked import AUXILIARY, observation_for, quietly
from tests.tiny import tiny_spec

# A few steps of a small decoder; an attack has these values in the fields that it has.
SMALL = {
    **{"iterations": 2, "steps": 2, "rounds": 2, "weight_steps": 1, "image_steps": 1},
    **{"decoder_steps": 1, "batches": 10, "examples": 4, "passes": 3},
    **{"width": 4, "batch_size": 2, "refine": 2, "restarts": 2},
}
BUILT_IN = {
    plugin.name: plugin for plugin in usable("attack")[0] if plugin.distribution == "leakaudit"
}


def quick(name: str) -> Attack:
    fields = BUILT_IN[name].parameters
    made = BUILT_IN[name].make({one: SMALL[one] for one in SMALL if one in fields})
    assert isinstance(made, Attack)
    return made


@cache
def threat_of(name: str) -> str:
    """The first threat that the attack may run under."""
    attack = quick(name)
    named = attack.recovers == "identities"
    return next(
        one.name
        for one in PRESETS.values()
        if attack.needs() <= one.capabilities
        and (Capability.CANDIDATES in one.capabilities) == named
    )


# Each is built once for all attacks: none may change what it is shown.
shared_observation = cache(observation_for)


def as_counted(name: str, attempt: Attempt) -> bool:
    """Whether own patients and questions are counted as the attack says that it uses them."""
    attack = quick(name)
    asks = attack.learns_from_queries or Capability.ACTIVE_MANIPULATION in attack.needs()
    asks = asks or attack.recovers == "identities"
    return attempt.auxiliary_patients == len(AUXILIARY) and (attempt.queries > 0) == asks


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_attack_keeps_its_contract(name: str) -> None:
    dropping = ActivationDropout(p=0.5)
    assert as_counted(
        name, check_attack(quick(name), shared_observation(threat_of(name), dropping))
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in BUILT_IN if threat_of(name).startswith("aggregator")]
)
def test_every_attack_on_gradients_meets_batches_of_several_slices(name: str) -> None:
    check_attack(quick(name), shared_observation(threat_of(name), batch=3))


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_attack_meets_a_bottleneck(name: str) -> None:
    # The cut level and a skip are narrowed, the other skip is left as it is.
    spec = tiny_spec(cut_level=2, features=(4, 6, 8, 8, 8, 4), bottleneck=4)
    observation = shared_observation(threat_of(name), GaussianNoise(std=0.5), spec)
    assert observation.layout.sent_channels == (4, 4, 4)
    check_attack(quick(name), observation)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("threat", PRESETS)
def test_an_attack_runs_if_and_only_if_its_threat_grants_what_it_requires(
    name: str, threat: str
) -> None:
    attack, observation = quick(name), shared_observation(threat)
    lacking = attack.needs() - PRESETS[threat].capabilities
    listed = Capability.CANDIDATES in observation.granted and attack.recovers != "identities"
    if not lacking and not listed:
        attack(observation, seed=0, progress=quietly)
        return
    told = ", ".join(sorted(lacking)) or "only an attack that recovers identities may run under it"
    with pytest.raises(NotGranted, match=told):
        attack(observation, seed=0, progress=quietly)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_attack_has_a_summary_and_counts_its_iterations(name: str) -> None:
    assert len(BUILT_IN[name].summary) > 20
    steps: list[tuple[int, int]] = []
    attempt = quick(name)(
        shared_observation(threat_of(name)), seed=0, progress=lambda *step: steps.append(step)
    )
    assert as_counted(name, attempt)
    count = attempt.reconstruction.iterations
    assert all(earlier < later <= (count, count) for earlier, later in pairwise(steps))
    assert steps[-1:] == ([(count, count)] if count else [])


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_attack_describes_what_it_does_knows_and_is_set_to(name: str) -> None:
    attack = quick(name)
    told = attack.describe()
    assert told.startswith(BUILT_IN[name].summary.replace("``", ""))
    lines = told.splitlines()
    knows = next(line for line in lines if line.startswith("knows: "))
    assert set(knows.removeprefix("knows: ").split(", ")) == attack.needs()
    after = [line for line in lines if line.startswith("after: ")]
    assert len(after) == bool(attack.citations)
    assert all(paper.short in after[0] for paper in attack.citations)
    assert f"recovers: {attack.recovers} ({attack.nist} in NIST AI 100-2)" in lines
    values = lines[lines.index("configuration:") + 1 :]
    fields = BUILT_IN[name].parameters
    assert {f"  {one}: {SMALL[one]!r}" for one in SMALL if one in fields} <= set(values)
    assert len(values) == max(1, len(fields))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ActivationInversion(iterations=0), "iterations is 0; it must be 1 to"),
        (lambda: ActivationInversion(learning_rate=-1.0), "learning_rate is -1.0"),
        (lambda: ActivationInversion(tv=math.nan), "tv is nan"),
        (lambda: ActivationInversion(tv_noise=-1.0), "tv_noise is -1.0"),
        (lambda: DecoderInversion(steps=0), "steps is 0"),
        (lambda: DecoderInversion(batch_size=0), "batch_size is 0"),
        (lambda: DecoderInversion(width=0), "width is 0"),
        (lambda: DecoderInversion(refine=-1), "refine is -1"),
        (lambda: DecoderInversion(near=-1.0), "near is -1.0"),
        (lambda: CutGradientInversion(steps=0), "steps is 0"),
        (lambda: CutGradientInversion(examples=0), "examples is 0"),
        (lambda: PseudoClientInversion(steps=0), "steps is 0"),
        (lambda: PseudoClientInversion(batch_size=1), "batch_size is 1; it must be 2 to"),
        (lambda: PseudoClientInversion(cycle=-1.0), "cycle is -1.0"),
        (lambda: Unsplit(rounds=0), "rounds is 0"),
        (lambda: Unsplit(tv=math.nan), "tv is nan"),
        (lambda: GradientInversion(iterations=0), "iterations is 0"),
        (lambda: GradientInversion(tv=-1.0), "tv is -1.0"),
    ],
)
def test_a_bad_parameter_is_refused(make: Callable[[], Attack], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
