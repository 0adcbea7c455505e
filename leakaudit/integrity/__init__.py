"""Checks that the files of a run and of its report are those that were written. No torch.

In: a folder, and the keys of signers if there are any.  Out: a list of faults.  Everything is read
through open folders, so that no link leads out of the folder that is checked.
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
