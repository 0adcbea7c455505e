"""Simulated patients.

In: how many, how large, a seed.  Out: brains deformed from a public atlas with a glioma grown into
them.  They are nobody's, so anything may be shown of them.
"""
