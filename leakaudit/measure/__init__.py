"""How much a reconstruction gives away, and how much a network is worth."""
