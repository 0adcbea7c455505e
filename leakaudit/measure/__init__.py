"""Measures how much a reconstruction gives away, and how much a network is worth.

In: arrays of reconstructions and originals.  Out: figures with their intervals, floors and
controls.
"""
