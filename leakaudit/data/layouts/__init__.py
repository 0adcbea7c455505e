"""Where each patient's files are.

In: a folder as MSD, nnU-Net, BIDS, MONAI or BraTS lay it out.  Out: for each patient the files and
channels of its modalities and mask, and who is the same person under two names.
"""
