"""The error for a mistake that the user can fix, and the word that a misspelt one most likely means.

Apart from `record`, so that `farback --help` does not import pydantic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import ClassVar


class UserError(ValueError):
    """A mistake that the user can fix. Commands print its message without a traceback."""

    exit_code: ClassVar[int] = 2  # the exit code of a command that this error ends


# Words of other libraries and papers, in lower case, with the words of farback that they may stand for
SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("rnn", "vanilla", "vanilla_rnn", "simple_rnn", "simplernn"), ("elman", "cell")),
        **dict.fromkeys(("model", "network", "module", "architecture"), ("cell",)),
        **dict.fromkeys(("num_layers", "n_layers", "layers"), ("depth",)),
        **dict.fromkeys(("hidden_size", "hidden_dim", "units", "width"), ("hidden",)),
        **dict.fromkeys(("learning_rate", "learningrate", "rate"), ("lr",)),
        **dict.fromkeys(("batch_size", "batchsize"), ("batch",)),
        **dict.fromkeys(("epochs", "iterations", "updates", "max_steps", "num_steps"), ("steps",)),
        **dict.fromkeys(("grad_clip", "gradient_clip", "clip_norm", "max_norm", "max_grad_norm"), ("clip",)),
        **dict.fromkeys(("initialization", "initialisation", "initializer"), ("init",)),
        **dict.fromkeys(("curriculum",), ("train_lags",)),
        **dict.fromkeys(("scheduler", "lr_schedule", "lr_scheduler", "learning_rate_schedule"), ("schedule",)),
        **dict.fromkeys(("warm_up", "warmup_steps", "num_warmup_steps"), ("warmup",)),
        **dict.fromkeys(("decay", "l2"), ("weight_decay",)),
        **dict.fromkeys(
            ("variational_dropout", "weight_dropout", "weight_drop", "dropconnect"), ("recurrent_dropout",)
        ),
        **dict.fromkeys(("tbptt", "bptt", "tbptt_steps", "truncated_bptt", "truncated_bptt_steps"), ("truncate",)),
        **dict.fromkeys(("seeds", "random_seed", "random_state"), ("seed",)),
        **dict.fromkeys(("activation",), ("nonlinearity",)),
        **dict.fromkeys(("norm", "layer_norm", "layernorm", "rms_norm", "rmsnorm"), ("norm", "block")),
        **dict.fromkeys(("residual", "skip", "skip_connection"), ("residual", "block")),
        **dict.fromkeys(("conv", "short_conv", "d_conv"), ("conv", "block")),
        **dict.fromkeys(("mlp", "glu"), ("mlp", "block")),
        **dict.fromkeys(("attention", "transformer"), ("attention", "cell")),
        **dict.fromkeys(("num_heads", "n_heads", "nhead"), ("heads",)),
    }
)


def nearest(given: str, allowed: Collection[str]) -> str | None:
    """The allowed word that `given` most likely means: the same but for case, a synonym, or one spelled similarly."""
    lower = {word.lower(): word for word in allowed}
    exact = next((word for word in (given.lower(), *SYNONYMS.get(given.lower(), ())) if word in lower), None)
    near = [exact] if exact else get_close_matches(given.lower(), list(lower), n=1, cutoff=0.6)
    return lower[near[0]] if near else None


def choices(given: str, allowed: list[str], meant: str | None = None) -> str:
    """The allowed words as a phrase for messages, with the most likely one first; `meant` is a better hint, if any."""
    near = nearest(given, allowed)
    words = [word for word in allowed if word == near] + [word for word in allowed if word != near]
    hint = meant or near
    return f"{f'did you mean {hint!r}? ' if hint else ''}choose from {', '.join(words)}"
