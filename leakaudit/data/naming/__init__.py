"""What names and numbers mean.

In: names of files and channels, values of masks.  Out: modalities and tissues.  What may mean two
things is refused, or decided over all patients at once.
"""
