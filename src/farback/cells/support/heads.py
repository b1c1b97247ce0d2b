"""The check of a cell whose units are divided among heads."""


def check_heads(hidden: int, heads: int) -> None:
    """Raise ValueError, with the nearest sizes that fit, if H is not a multiple of the number of heads."""
    if hidden % heads:
        below = hidden // heads * heads
        near = f"{below} or {below + heads}" if below else str(heads)
        raise ValueError(f"hidden is {hidden}, and {heads} heads need a multiple of {heads}: {near}")
