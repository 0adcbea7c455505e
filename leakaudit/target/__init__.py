"""The system under audit: a Split-U-Net, its protocol and its training."""
