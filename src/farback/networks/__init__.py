"""Networks (encoder, stack of cells, readout) with a replica axis, and networks of equal size."""
