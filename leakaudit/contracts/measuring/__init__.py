"""Measures a defense by running it.

In: a defense and levels.  Out: how it changes them, how much it varies, how true its hints are,
and which tricks its releases show.  Nothing that a defense says of itself is believed.
"""
