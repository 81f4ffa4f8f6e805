"""Text that may hold anything, such as names of files and classes, on one line that shows it safely."""

# Joiners shape letters of many scripts and emoji; what turns or hides the text around it is not let through.
_JOINERS = "\u200c\u200d"


def visible(content: object) -> str:
    """One line: letters that cannot be printed become `?`, line breaks and runs of spaces one space.

    Marks that turn the direction of writing are among the former.
    """
    line = " ".join(str(content).split())
    return "".join(letter if letter.isprintable() or letter in _JOINERS else "?" for letter in line)


def shown(text: str, limit: int = 80) -> str:
    """A name on one line: what does not print is written as an escape, a long middle left out."""
    line = "".join(map(_escaped, text))
    half = (limit - 1) // 2
    return line if len(line) <= limit else f"{line[:half]}…{line[-half:]}"


def told(text: str) -> str:
    """A message as a terminal may have it: its lines are kept, what else does not print is an escape."""
    return "".join(letter if letter == "\n" else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() or letter in _JOINERS else repr(letter)[1:-1]
