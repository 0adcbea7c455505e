"""The pseudonyms of patients in a report that is shared."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from leakaudit.errors import SharingError

KEY_BYTES = 32
_SHORTEST = 6
_LONGEST = 2 * hashlib.sha256().digest_size


def pseudonyms(patients: Iterable[str], key: bytes) -> dict[str, str]:
    """``P-3F9A2C`` and the like for every patient: the start of an HMAC-SHA-256 under the key.

    All are as long as it takes to tell them apart, 6 hexadecimal digits at least. Without the key
    nobody can compute them; with it nobody can undo them, but a person who knows an identifier can
    compute its pseudonym.

    Args:
        patients: their identifiers.
        key: 32 bytes.

    Raises:
        SharingError: the key has another length.
    """
    if len(key) != KEY_BYTES:
        raise SharingError(f"the key of pseudonyms has {KEY_BYTES} bytes, got {len(key)}")
    digests = {
        patient: hmac.new(
            key, b"leakaudit patient\0" + patient.encode("utf-8", "surrogatepass"), hashlib.sha256
        )
        .hexdigest()
        .upper()
        for patient in sorted(set(patients))
    }
    for length in range(_SHORTEST, _LONGEST + 1, 2):
        names = {patient: f"P-{digest[:length]}" for patient, digest in digests.items()}
        if len(set(names.values())) == len(names) and not set(names.values()) & set(names):
            return names
    raise SharingError("no pseudonyms can be told apart under this key; delete it and share again")
