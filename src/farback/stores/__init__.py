"""Where trials are recorded: `base` is the contract, `memory` the reference, `mlflow` the real one."""
