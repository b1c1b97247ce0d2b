"""Networks: encoder, stack of cells, readout, as one tensor program over replicas; and networks of equal size."""
