"""The lattice as a graph: positions of cells and the neighbors of each."""
