"""The input of each section of the page.

In: the record of a run.  Out: plain objects that a template prints without deciding anything:
settings with their figures, who is exposed most, what was tried, what is left to choose from.
"""
