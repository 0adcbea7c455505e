"""Where reconstruction and truth meet.

In: what an attack returned and the patients it was about.  Out: figures, floors and controls of
one cell, the doubts about them, and whether a defense's privacy claim may be believed.
"""
