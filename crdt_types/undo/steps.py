"""Steps that can be undone: what takes whole transactions back, in stacks that follow what others do meanwhile."""

from functools import reduce
from typing import Final

from ..document.delta import Delta, compose, transform
from ..document.statedocument import StateDocument
from .reversal import Reversal, TextReversal, rows_live
from .turn import Kept, Turn

# A stack that nobody undoes keeps what others wrote into its texts as one delta, which is made in bulk.
_MANY_DELTAS: Final = 64


class UndoStep:
    """What takes one step back: the reversals of its cells, counts, log items and texts.

    Attributes:
        texts: the reversals of texts by their names.
        since: what others did to texts after it, each text's deltas in order.
        skipped: the texts that could not be taken back, since the row is gone that they lie in.
    """

    __slots__ = ("_parts", "since", "skipped", "texts")

    def __init__(self, parts: list[Reversal], texts: list[TextReversal]) -> None:
        self._parts = {part.place: part for part in parts}
        self.texts = {text.name: text for text in texts}
        self.since: dict[str, list[Delta]] = {}
        self.skipped: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._parts or self.texts)

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether there still is something to take back."""
        texts = any(text.is_due(document) for text in self.texts.values())
        return texts or any(_is_due(part, document) for part in reversed(self._parts.values()))

    def revert(self, turn: Turn) -> None:
        """Take back what is due, the last part first; texts before the rows go that they lie in."""
        document = turn.document
        texts = [text for text in self.texts.values() if text.delta]
        late = self._revert_texts(texts, document)
        for part in reversed(self._parts.values()):
            if _is_due(part, document):
                part.revert(turn)
            elif (kept := part.kept(document)) is not None:
                turn.kept.append(kept)
        # Of those, some may lie in rows that only now are there again.
        self.skipped = [text.name for text in self._revert_texts(late, document)]
        turn.kept += [Kept("text", name, None, None) for name in self.skipped]
        for text in texts:
            text.keep_row(document)

    def _revert_texts(self, texts: list[TextReversal], document: StateDocument) -> list[TextReversal]:
        """Take texts back, and return those that lie in rows that are gone."""
        late: list[TextReversal] = []
        for text in texts:
            if rows_live(document.index, text.rows):
                text.revert(document)
            else:
                late.append(text)
        return late

    def absorb(self, later: "UndoStep") -> None:
        """Become one with the step that came next."""
        for place, part in later._parts.items():
            earlier = self._parts.pop(place, None)
            joined = part if earlier is None else earlier.joined(part)
            if joined is not None:
                self._parts[place] = joined
        for name, text in later.texts.items():
            known = self.texts.get(name)
            self.texts[name] = text if known is None else text._replace(delta=compose(text.delta, known.delta))

    def note(self, name: str, delta: Delta) -> None:
        """Note what was done to a text after this step."""
        deltas = self.since.setdefault(name, [])
        deltas.append(delta)
        if len(deltas) > _MANY_DELTAS:
            deltas[:] = [reduce(compose, deltas)]


def _is_due(part: Reversal, document: StateDocument) -> bool:
    return rows_live(document.index, part.rows) and part.is_due(document)


class UndoStack:
    """The steps to be taken back, the last one at the end."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: list[UndoStep] = []

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def last(self) -> UndoStep | None:
        """The step to be taken back next, up to date; None if there is none."""
        return self._up_to_date(len(self._steps) - 1) if self._steps else None

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether there is a step with something to take back."""
        return any(self._up_to_date(at).is_due(document) for at in reversed(range(len(self._steps))))

    def push(self, step: UndoStep, limit: int) -> None:
        """Add a step; the oldest are forgotten where there are more than a limit."""
        self._steps.append(step)
        del self._steps[: max(len(self._steps) - limit, 0)]

    def pop(self) -> None:
        """Forget the last step, which was taken back; what others did after it, they did after the one before it."""
        _ = self.last
        for name in self._steps.pop().skipped:
            self._forget_text(name)

    def _forget_text(self, name: str) -> None:
        """Leave a text alone from now on, whose earlier reversals would follow one that was not made."""
        for step in self._steps:
            step.texts.pop(name, None)
            step.since.pop(name, None)

    def clear(self) -> None:
        """Forget every step."""
        self._steps.clear()

    def note(self, name: str, delta: Delta) -> None:
        """Note what somebody else did to a text."""
        if self._steps:
            self._steps[-1].note(name, delta)

    def _up_to_date(self, at: int) -> UndoStep:
        """Move the texts' reversals of a step past what others did since; those of the steps after it are already."""
        step = self._steps[at]
        for name, deltas in step.since.items():
            others = reduce(compose, deltas)
            if (text := step.texts.get(name)) is not None:
                step.texts[name] = text._replace(delta=transform(others, text.delta, priority=True))
                others = transform(text.delta, others, priority=False)
            if at:
                self._steps[at - 1].note(name, others)
        step.since.clear()
        return step
