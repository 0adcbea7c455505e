"""`leakaudit dp`: what an epsilon costs and hides, and whether a defense keeps its claim."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from leakaudit.cli.printing.messages import print_line, say
from leakaudit.errors import ConfigError, ExitCode, UsageError
from leakaudit.privacy import accounting, gaussian

_HELP = """Differential privacy of Gaussian noise: exact figures, and an audit of a defense.

Every figure is for replacing one record: a patient's slice at all sites. The noise multiplier is
sigma over the sensitivity of that, 2 C sqrt(S) for S sites that clip to C each; the usual
multiplier, sigma over C, is another number. Releases of a patient add up: passes x slices. The
textbook formula sigma = sqrt(2 ln(1.25/delta)) / epsilon is wrong for epsilon above 1; these
figures come from the exact curve (Balle and Wang 2018).

Figures are printed as "name value", one a line; warnings go to stderr.
"""

app = typer.Typer(
    name="dp", help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

Delta = Annotated[
    float, typer.Option(help="Chance that is allowed to break the bound by epsilon, in total.")
]
Releases = Annotated[int, typer.Option(help="Full releases of one patient: passes x slices.")]


@app.command()
def epsilon(
    noise_multiplier: Annotated[
        float, typer.Option(help="sigma over the sensitivity 2 C sqrt(S); not sigma over C.")
    ],
    releases: Releases = 1,
    delta: Delta = 1e-5,
) -> int:
    """Epsilon of a given noise.

    Prints the exact epsilon of all releases together; mu, their Gaussian-DP parameter, which is
    the distance of two records over the noise; and two upper bounds on epsilon by the
    accountants of Opacus as a cross-check: PRV, which is to lie at most 0.02 above the exact
    value ("none" where its arithmetic does not hold), and RDP, which is looser. "vacuous yes": two
    patients can be told apart with 99 % detected at 1 % false alarms.
    """
    exact = gaussian.epsilon(noise_multiplier, releases, delta)
    try:
        prv = accounting.prv_epsilon(noise_multiplier, releases, delta)
    except ConfigError:
        prv = math.nan
    _print(
        {
            **_of_all(exact, math.sqrt(releases) / noise_multiplier, delta, releases),
            "noise-multiplier": noise_multiplier,
            "prv-epsilon": prv if prv >= exact else None,
            "rdp-epsilon": accounting.rdp_epsilon(noise_multiplier, releases, delta),
        }
    )
    return 0


@app.command()
def noise(
    epsilon: Annotated[float, typer.Option(help="The patient's total over all releases.")],
    releases: Releases = 1,
    delta: Delta = 1e-5,
    clip: Annotated[
        float | None, typer.Option(help="C: L2 bound of one slice's joint vector at every site.")
    ] = None,
    sites: Annotated[int | None, typer.Option(help="S: how many sites release.")] = None,
) -> int:
    """The least noise that keeps all releases within an epsilon.

    Prints the noise multiplier; with --clip and --sites also the sensitivity 2 C sqrt(S) and
    sigma, the standard deviation that is added to every released value.
    """
    if (clip is None) != (sites is None):
        raise UsageError("sigma needs --clip and --sites; give both or neither")
    multiplier = gaussian.noise_multiplier(epsilon, delta, releases)
    shown = {
        **_of_all(epsilon, math.sqrt(releases) / multiplier, delta, releases),
        "noise-multiplier": multiplier,
    }
    if clip is not None and sites is not None:
        moved = accounting.sensitivity(clip, sites)
        shown |= {"sensitivity": moved, "sigma": multiplier * moved}
    _print(shown)
    return 0


@app.command()
def total(
    per_release: Annotated[
        float, typer.Option(help="Epsilon for which the noise of each release alone was made.")
    ],
    releases: Releases,
    delta: Delta = 1e-5,
) -> int:
    """Total epsilon of releases made for an epsilon each.

    Each was given noise as if it were the only one. Prints the exact epsilon of all of them
    together, for the same delta in total. It is not the sum: mu grows with the square root of the
    releases, and epsilon with about mu squared / 2.
    """
    multiplier = gaussian.noise_multiplier(per_release, delta, 1)
    exact = gaussian.epsilon(multiplier, releases, delta)
    _print(
        {
            **_of_all(exact, math.sqrt(releases) / multiplier, delta, releases),
            "noise-multiplier": multiplier,
            "per-release-epsilon": per_release,
        }
    )
    return 0


@app.command()
def audit(
    name: Annotated[str, typer.Argument(help="A defense: `leakaudit list defenses`.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter as name=value; repeat for more.")
    ] = None,
    sites: Annotated[int, typer.Option(help="How many sites release.")] = 2,
    draws: Annotated[int, typer.Option(help="Releases of either record of a pair.")] = 200_000,
    seed: Annotated[int, typer.Option(help="Of the records and the noise.")] = 0,
) -> int:
    """Audit a defense's claim by its own releases.

    The claim is that for one release of a patient. For each pair of records: lower bounds on
    epsilon, "free" of assumptions, and "gaussian", which assumes Gaussian noise and comes far
    closer; beside each the largest bound that so many draws could ever show. All hold jointly
    with 95 % confidence. Exit code 0 if the claim stands, 1 if a bound exceeds it. That a claim
    stands is not a proof.
    """
    # These two need torch, which the other subcommands do not wait for.
    from leakaudit.dp_audit import audit_mechanism
    from leakaudit.registry import load

    defense = load("defense", name).make(_parameters(settings or []))
    found = audit_mechanism(defense, sites=sites, draws=draws, seed=seed)
    claimed, mu = found.claim.epsilon or 0.0, found.claim.mu
    print_line(f"defense {found.defense}")
    _print(
        {
            "claimed-epsilon": claimed,
            "claimed-delta": found.claim.delta,
            "claimed-mu": mu,
            "sites": sites,
        }
    )
    print(f"\n{'pair':<18}{'draws':>8}{'free':>9}{'ceiling':>9}{'gaussian':>10}{'ceiling':>9}")
    for pair in found.pairs:
        print(
            f"{pair.name:<18}{pair.draws:>8}{pair.epsilon:>9.3f}{pair.ceiling.epsilon:>9.3f}"
            f"{pair.epsilon_if_gaussian:>10.3f}{pair.ceiling.epsilon_if_gaussian:>9.3f}"
        )
    verdict = "refuted by " + " ".join(found.refuting) if found.refuting else "stands"
    print_line(f"\nverdict {verdict}")
    top = found.pairs[0].ceiling
    if claimed >= (top.epsilon if mu is None else top.epsilon_if_gaussian):
        say(
            f"warning: so many draws cannot show an epsilon of {claimed:.4g}: no bug could be found"
        )
    _warn_if_vacuous(claimed, found.claim.delta or 0.0, mu)
    return ExitCode.FOUND if found.refuting else ExitCode.DONE


def _of_all(epsilon: float, mu: float, delta: float, releases: int) -> dict[str, Any]:
    """Return the first lines of every figure of several releases; warn if they hide nothing."""
    return {
        "epsilon": epsilon,
        "mu": mu,
        "delta": delta,
        "releases": releases,
        "vacuous": "yes" if _warn_if_vacuous(epsilon, delta, mu) else "no",
    }


def _warn_if_vacuous(epsilon: float, delta: float, mu: float | None) -> bool:
    vacuous = gaussian.hides_nothing(epsilon, delta, mu)
    if vacuous:
        say(
            f"warning: an epsilon of {epsilon:.4g} hides nothing: a party with the images of two "
            "patients may tell from the releases which one it was, right in 99 % of cases or more, "
            "with 1 % false alarms"
        )
    return vacuous


def _print(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        shown = f"{value:.6g}" if isinstance(value, float) else "none" if value is None else value
        print(f"{name} {shown}")


def _parameters(settings: list[str]) -> dict[str, Any]:
    """``name=value`` pairs; a value that is not a number, true, false or null is text."""
    parameters: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not (name and equals):
            raise UsageError(f"--set takes name=value, such as epsilon=8; got {setting!r}")
        try:
            parameters[name] = json.loads(text)
        except json.JSONDecodeError:
            parameters[name] = text
    return parameters
