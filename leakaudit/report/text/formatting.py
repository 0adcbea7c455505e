"""Figures and names as a reader sees them. Every number of the page goes through `figure`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from leakaudit.records import NO_DEFENSE, Configured, Interval, Matching, Plain, Reidentification
from leakaudit.report.text.pointers import marked, pointer_of, to_markup
from leakaudit.visible import made_visible

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_SPACE = "\N{NO-BREAK SPACE}"
NOT_RECORDED = "not recorded"
_MOST_DIGITS = 4
# So near to 0 or 1 the difference is that of the arithmetic.
_NOISE = 1e-12

_PROPER = {
    "dp": "DP",
    "nopeek": "NoPeek",
    "sgd": "SGD",
    "gaussian": "Gaussian",
    "laplace": "Laplace",
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def figure(value: float | int | None, digits: int = 2, reason: str = NOT_RECORDED) -> str:
    """A number with fixed decimals, or a dash and the reason why there is none.

    What would round to 0 or 1 and is neither has more decimals, up to four: 0.997, not 1.00; what
    is nearer still is said to lie beyond the last of them: >0.9999 or <0.0001.

    Args:
        value: the number; None if it is missing, which is never shown as 0.
        digits: decimals; integers are shown without.
        reason: why the value is missing.
    """
    if value is None:
        return f"{MISSING} ({reason or NOT_RECORDED})"
    return marked(_told_apart(value, digits), value)


def _told_apart(value: float | int, digits: int) -> str:
    most = max(digits, _MOST_DIGITS)
    if isinstance(value, int) or not 0 < abs(value) < 1:
        return _digits(value, digits)
    for more in range(digits, most + 1):
        if 0 < abs(round(value, more)) < 1:
            return _digits(value, more)
    if not _NOISE < abs(value) < 1 - _NOISE:
        return _digits(value, digits)
    near = 1 - 10**-most if round(abs(value)) else 10**-most
    outwards = (value > 0) == (near > 0.5)
    return f"{'>' if outwards else '<'}{_digits(math.copysign(near, value), most)}"


def _digits(value: float | int, digits: int) -> str:
    if isinstance(value, int):
        return str(int(value)).replace("-", MINUS)
    text = f"{value:.{digits}f}"
    if float(text) == 0.0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def scientific(value: float | None, reason: str = NOT_RECORDED) -> str:
    """A number of any magnitude with as few digits as it has, say 1e-05."""
    if value is None:
        return figure(None, reason=reason)
    return marked(f"{value:g}".replace("-", MINUS), value)


def significant(value: float) -> str:
    """A number of any magnitude with three significant digits."""
    return marked(f"{value:.3g}".replace("-", MINUS), value)


def bounds(interval: Interval | None, digits: int = 2) -> str:
    """The ends of an interval, ``0.69 to 0.79``, or why there are none."""
    if interval is None:
        return f"{MISSING} ({NOT_RECORDED})"
    if interval.low is None or interval.high is None:
        return f"no interval from {patients_words(interval.n)}"
    return f"{figure(interval.low, digits)} to {figure(interval.high, digits)}"


def estimate(interval: Interval | None, digits: int = 2, reason: str = NOT_RECORDED) -> str:
    """A mean with its 95 % interval for running text: ``0.74 (95 % CI 0.69 to 0.79)``."""
    if interval is None:
        return figure(None, reason=reason)
    label = "" if interval.low is None or interval.high is None else f"95{_SPACE}% CI "
    return f"{figure(interval.mean, digits)} ({label}{bounds(interval, digits)})"


def percent(share: float | None, reason: str = NOT_RECORDED) -> str:
    """A share as a whole percentage, one decimal below 10 % or two where it rounds to 0 or 100.

    What is not nothing and not all is never shown as such: <0.01 % or >99.99 %.
    """
    if share is None:
        return figure(None, reason=reason)
    return marked(f"{_percentage(share)}{_SPACE}%", share)


def _percentage(share: float) -> str:
    if not _NOISE < share < 1 - _NOISE:
        return _digits(100 * share, 0)
    for digits in range(0 if share >= 0.0995 else 1, 3):
        if round(100 * share, digits) not in (0, 100):
            return _digits(100 * share, digits)
    return ">99.99" if round(share) else "<0.01"


def singled_out(measured: Reidentification) -> str:
    """Re-identification in words, beside what anybody can guess."""
    best = best_guess(measured)
    return (
        f"{percent(measured.top1)} of cases (95{_SPACE}% CI {percent(measured.low)} to "
        f"{percent(measured.high)}; {guess_name(measured)} {percent(best)})"
    )


def matched(measured: Matching) -> str:
    """How many were matched in words, beside chance."""
    return (
        f"{percent(measured.top1)} of cases (95{_SPACE}% CI {percent(measured.low)} to "
        f"{percent(measured.high)}; chance {percent(measured.chance)})"
    )


def best_guess(measured: Reidentification) -> float:
    """The share that is right without any observation: chance, or a blind guess if it is higher."""
    return max(measured.chance, measured.blind_top1)


def guess_name(measured: Reidentification) -> str:
    """Which of the two that is."""
    return "a blind guess" if measured.blind_top1 > measured.chance else "chance"


def duration(seconds: Any) -> str:
    """Seconds as ``42 s``, ``3 min 05 s`` or ``2 h 10 min``."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return figure(None)
    whole = round(seconds)
    if seconds < 10:
        text = f"{_digits(float(seconds), 1)} s"
    elif whole < 60:
        text = f"{whole} s"
    elif whole < 3600:
        text = f"{whole // 60} min {whole % 60:02d} s"
    else:
        text = f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return marked(text, seconds)


def moment(seconds: float) -> str:
    """A time in seconds since 1970 as ``2026-01-31 14:05 UTC``."""
    return marked(datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC"), seconds)


def spoken(name: str, *, start: bool = True) -> str:
    """A plug-in's name in words: ``dp-gaussian`` or ``DpGaussian`` to ``DP Gaussian``.

    Args:
        name: the name; what does not look like one is returned as it is.
        start: whether it starts a sentence.
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII):
        return name
    words = [_PROPER.get(word.lower(), word.lower()) for word in _WORD.findall(name)]
    sentence = " ".join(words)
    return sentence[:1].upper() + sentence[1:] if start else sentence


def configured(defense: Sequence[Configured]) -> tuple[str, str]:
    """A defense as name and parameters: ``("Gaussian noise", "std 1.0")``.

    Of a stack both are lists. Without any part it is called so.
    """
    first, *others = [spoken(part.name) for part in defense] or [NO_DEFENSE.capitalize()]
    names = listed([first, *map(lowered, others)])
    return names, "; ".join(filter(None, map(parameters_words, defense)))


def parameters_words(plugin: Configured) -> str:
    """The parameters of a plug-in that are set: ``std 1.0, relative True``."""
    return ", ".join(f"{name} {value_words(value)}" for name, value in plugin.switched_on)


def value_words(value: Plain) -> str:
    """A parameter's value: ``0.5``, ``element`` or ``(1, 2)``."""
    if isinstance(value, tuple):
        return f"({', '.join(map(value_words, value))})"
    if isinstance(value, str) or value is None:
        return str(value)
    return repr(value).replace("-", MINUS)


def lowered(name: str) -> str:
    """A name as it stands within a sentence: proper names and abbreviations keep their capital."""
    word = name.split(" ", 1)[0]
    return name if word.lower() in _PROPER else name[:1].lower() + name[1:]


def labelled(defense: Sequence[Configured]) -> str:
    """A defense as one line of words: ``Gaussian noise, std 1.0``."""
    return ", ".join(filter(None, configured(defense)))


def levels(cut_level: int, shared_skips: tuple[int, ...], bottleneck: int | None = None) -> str:
    """Where a network is cut: ``Cut level 2, skips 0 and 1 shared, bottleneck of 4 channels``."""
    if not shared_skips:
        shared = "no skip shared" if cut_level else ""
    else:
        names = listed(tuple(str(level) for level in shared_skips))
        shared = f"{'skip' if len(shared_skips) == 1 else 'skips'} {names} shared"
    narrow = f"bottleneck of {channels_words(bottleneck)}" if bottleneck else ""
    return ", ".join(part for part in (f"Cut level {cut_level}", shared, narrow) if part)


def patients_words(count: int) -> str:
    """``1 patient`` or ``5 patients``."""
    return f"{figure(count)} {'patient' if count == 1 else 'patients'}"


def channels_words(count: int) -> str:
    """``1 channel`` or ``4 channels``."""
    return "1 channel" if count == 1 else f"{count} channels"


def listed(names: Sequence[str]) -> str:
    """Names as a list in prose: ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def epochs_words(epochs: Sequence[int]) -> str:
    """When gradients were seen: ``before training and after epochs 2 and 4``."""
    later = [figure(epoch) for epoch in epochs if epoch]
    after = f"after {'epoch' if len(later) == 1 else 'epochs'} {listed(later)}" if later else ""
    return " and ".join(part for part in ("before training" if 0 in epochs else "", after) if part)


def visible(value: Any) -> Any:
    """Make characters that hide or reorder text visible, as ``[U+202E]``; leave markup alone.

    A configured plug-in is shown as a call.

    Jinja2 calls it on what an expression yields, before escaping.
    """
    if isinstance(value, Configured):
        value = str(value)
    if isinstance(value, str) and not isinstance(value, Markup):
        return to_markup(made_visible(value))
    if pointer_of(value):
        return to_markup(marked(str(value), value))
    return value
