"""The Lattice page."""
