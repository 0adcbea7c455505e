"""The meaning of names and numbers.

In: names of files and channels, values of masks.  Out: modalities and tissues.  What may mean two
things is refused, or decided over all patients at once.
"""
