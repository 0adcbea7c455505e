"""Threat models, and the observations that they grant.

In: a trained system, its victims and a threat.  Out: an `Observation` that holds the granted
capabilities alone.
"""
