"""Whether the files of a run and of its report are those that were written. No torch, no network.

Everything below the folder that is checked is read through open folders, so that no link leads
out of it, and nothing but regular files is opened.
"""

from leakaudit.integrity.checking import Checked, CheckedReport, Place, check, locate
from leakaudit.integrity.faults import Fault, shown
from leakaudit.integrity.signature import SignedBy, Signers

__all__ = [
    "Checked",
    "CheckedReport",
    "Fault",
    "Place",
    "SignedBy",
    "Signers",
    "check",
    "locate",
    "shown",
]
