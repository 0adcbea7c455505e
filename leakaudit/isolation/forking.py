"""Where processes for a plug-in's code come from: never from one that holds a patient."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from typing import Any

from leakaudit.data import patients_were_here


def server() -> Any:
    """A context whose processes are forked from a server that never held a patient.

    The server has imported torch and MONAI, and starts with the first process.
    """
    # Inherited by the server and all its children; a second thread gains little here.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    context = multiprocessing.get_context("forkserver")
    # "__main__" as well, else every job imports the program's main module anew.
    context.set_forkserver_preload(["__main__", "leakaudit.audit.jobs.preload"])
    return context


def nearest() -> Any:
    """The context with the quickest processes: forks of this one while it never held a patient.

    The server takes seconds to start, a fork milliseconds; a process with threads is not forked,
    for it may be forked while one of them holds a lock.
    """
    alone = sys.platform == "linux" and threading.active_count() == 1
    if alone and not patients_were_here():
        return multiprocessing.get_context("fork")
    return server()
