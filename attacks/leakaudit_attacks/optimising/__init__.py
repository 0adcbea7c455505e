"""Searching for an image that explains what was observed.

In: an objective, starts, weighted priors.  Out: the best candidate of several restarts, chosen by
the objective alone.  Nothing here knows what an attack observed.
"""
