"""Where trials are recorded. `base.Store` is the contract, `memory.Memory` the reference, `mlflow.MLflow` the real one."""
