"""How fast farback trains, compared with `torch.nn`, JAX and the script a user would write: `make bench`."""
