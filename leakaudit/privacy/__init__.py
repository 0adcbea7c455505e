"""What a Gaussian release provably hides: exact curve, sensitivity, cross-check."""
