"""Networks from what was observed to images or masks.

In: what the adversary's own patients release, or return as gradients.  Out: a trained decoder, and
what it makes of the victim.
"""
