"""Foreign text on a terminal."""


def printable(text: str) -> str:
    """The text with what a terminal would act on (escape sequences, line breaks) spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
