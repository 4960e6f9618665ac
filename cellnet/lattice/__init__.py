"""The lattice as a graph: where cells are and who sees whom."""
