r"""Lines as git sees them: only "\n" ends one, so "\r" and form feeds stay inside the text."""

from bisect import bisect_right


class Lines:
    """The lines of a text, numbered from 1; a last line without a newline counts."""

    __slots__ = ("_starts", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._starts = [0]
        position = source.find("\n")
        while position != -1:
            self._starts.append(position + 1)
            position = source.find("\n", position + 1)
        if self._starts[-1] == len(source):  # nothing follows the last newline
            self._starts.pop()

    def __len__(self) -> int:
        return len(self._starts)

    def number(self, offset: int) -> int:
        """The line that the character at `offset` stands on."""
        return max(bisect_right(self._starts, offset), 1)

    def start(self, line: int) -> int:
        """The offset of the first character of a line; past the end, the text's length."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.source)

    def end(self, line: int) -> int:
        """The offset behind the last character of a line, its newline left out."""
        end = self.start(line + 1)
        return end - 1 if end > self.start(line) and self.source[end - 1] == "\n" else end

    def text(self, first: int, last: int) -> str:
        """The lines `first` to `last`, both included, without the last newline."""
        return self.source[self.start(first) : self.end(last)]
