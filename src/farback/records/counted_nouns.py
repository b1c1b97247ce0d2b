"""Numbers with their nouns, in the singular and the plural."""


def counted(number: int | str, noun: str) -> str:
    """A number with its noun: "1 trial", "2 trials", "1 to 2 trials"."""
    return f"{number} {noun}" if str(number) == "1" else f"{number} {noun}s"
