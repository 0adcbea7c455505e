"""The view of an aggregator: weight gradients and weight updates.

In: gradients or updates of a step or a round.  Out: a candidate's misfit to them, or a regression
from them to images.
"""
