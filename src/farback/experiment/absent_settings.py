"""Settings that other libraries and papers have and farback does not; docs/what-varies.md answers them.

Each word is in this list and on the page. A word that becomes a setting is removed from both.
"""

PAGE = "docs/what-varies.md"

ABSENT = frozenset(
    (
        *("ema", "swa", "polyak", "weight_averaging", "lookahead", "sam"),
        *("nesterov", "dampening", "amsgrad", "centered", "adagrad", "restarts", "cycles"),
        *("gradient_accumulation", "accumulate_grad_batches", "gradient_noise", "weight_noise"),
        *("loss", "loss_fn", "label_smoothing", "label_noise", "auxiliary_loss", "regularization", "l1", "spectral"),
        *("precision", "dtype", "amp", "mixed_precision", "float16", "bfloat16", "float64"),
        *("batch_norm", "weight_norm", "spectral_norm", "embedding", "embedding_dim", "proj_size"),
        *("hidden_sizes", "layer_sizes", "zoneout", "input_dropout"),
        *("dataset_size", "train_size", "num_samples", "augmentation", "teacher_forcing"),
    )
)


def answer(key: str) -> str:
    """The hint for a key that farback does not have, or "" for any other key."""
    if key.lower() not in ABSENT:
        return ""
    return f"farback has no such setting: {PAGE} says what it varies, what it does not, and how to add more"
