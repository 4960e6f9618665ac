"""The lattice: geometry, connections and dynamics."""
