"""The work itself: one process trains a network, or attacks one.

In: a task.  Out: its result folder.  An attack runs in a process of its own that holds no patient;
what it may ask is answered here, and what it is shown is checked against what was measured.
"""
