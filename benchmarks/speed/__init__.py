"""How fast farback trains, against `torch.nn`, JAX and the script a user would write: `make bench`."""
