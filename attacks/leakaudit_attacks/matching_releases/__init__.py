"""How far what a candidate image would release is from what was received.

In: a release, the encoder, and what is known or was measured of the defense.  Out: a misfit to
descend on, and a way back to the levels where the defense's own gradient leads nowhere.
"""
