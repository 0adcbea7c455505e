"""Words other differences of two audits that may explain a changed figure."""

from __future__ import annotations

from leakaudit.comparison.records import CHANGED_DEFENSE, SHARED, Change, Comparison
from leakaudit.comparison.words import changed_words, counted
from leakaudit.visible import made_visible

# By kind of change. "defense" is a parameter that one version lacks.
KINDS = {
    "schema": "the reports are of different layouts",
    "package": "another version",
    "plug-in": "a plug-in from elsewhere or of another version",
    "system": "another system",
    "training": "trained otherwise",
    "defense": "a defense with other parameters, taken as the same",
    CHANGED_DEFENSE: "a defense that was changed",
    "attack": "an attack of another strength, taken as the same",
    "threat": "a threat that grants something else",
    "limit": "another limit of the run",
    "device": "another device was asked for",
    "policy": "a policy that asks for something else",
}
_SHARED_WORDS = (
    "shared reports are compared: paths, users, hosts, free text and local parts of versions were "
    "taken out of them, so what differs there alone does not show"
)


def caveat_sentences(comparison: Comparison) -> list[str]:
    """Word the other differences of two audits, one sentence each."""
    found = [_caveat(one.change, one.settings, one.cells) for one in comparison.caveats]
    matched = len(comparison.cells)
    changed = matched - comparison.equal_keys
    if changed and not found:
        found.append(
            f"{counted(changed, 'cell')} of {matched} in both have another key although no "
            "recorded version or parameter differs: the code or the kind of device changed"
        )
    if comparison.differing_elsewhere:
        found.append(
            f"{counted(comparison.differing_elsewhere, 'cell')} without a difference below differ "
            "in a figure that has no row here: of the tumour, of modalities or of single patients; "
            "see report.json"
        )
    if comparison.differing_equal_keys:
        found.append(
            f"{counted(comparison.differing_equal_keys, 'cell')} of the same key, so of the same "
            "work by the same code, have other figures: the computation does not repeat exactly, "
            "or a report was changed"
        )
    if SHARED in (comparison.a.profile, comparison.b.profile):
        found.insert(0, _SHARED_WORDS)
    return [made_visible(one, "line") for one in found]


def _caveat(change: Change, settings: int, cells: int) -> str:
    rows = [(settings, "setting"), (cells, "cell")]
    about = ", ".join(counted(count, name) for count, name in rows if count)
    where = f" ({about} matched approximately)" if about else ""
    return f"{KINDS[change.kind]}: {changed_words(change)}{where}"
