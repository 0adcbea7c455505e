"""Making a release legible before anything is learned from it.

In: releases of a victim and of the adversary's own patients.  Out: values in which reordering,
mixing, coarse digits and shared noise are undone, where the own patients show that this helps.
"""
