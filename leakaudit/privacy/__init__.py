"""Computes what a Gaussian release provably hides.

In: noise, sensitivity and a number of releases.  Out: epsilon on the exact curve, cross-checked,
and a lower bound from observed releases.
"""
