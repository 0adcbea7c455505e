"""The system under audit: a Split-U-Net, its protocol and its training.

In: a specification, training data and a defense.  Out: a trained network, and the messages between
its parties.
"""
