"""From the files of a patient to prepared arrays.

In: where the files are.  Out: modalities laid on each other, rescaled, upright and cropped, and
what is doubtful about them.  Prepared patients are cached by the content of their files.
"""
