"""Pictures of what attacks recovered.

In: originals, reconstructions and blind guesses of selected patients.  Out: PNG files beside the
report, and what the gallery of the page is given.  Blurring happens here.
"""
