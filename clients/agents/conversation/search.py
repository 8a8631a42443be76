"""Search over the messages of a conversation: words by their beginnings, phrases, whatever their case and accents."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from comity.crdt_types.errors import InvalidValueError

from .snapshots import Message
from .status import Role

LIMIT: Final = 20  # hits; what fits into a prompt or on a screen, and more can be asked for

# Characters of folded text that are kept. Text in ASCII is folded in 1 ns a character, other text in 15 to 40: it is
# folded once, and kept up to 4 to 8 MB. What is beyond that is folded again in each search.
MAX_FOLDED: Final = 4_000_000

SNIPPET: Final = 160  # characters around the first match: two lines of a terminal

# The parameters of BM25 as they are commonly set: how soon a repeated word adds nothing, and how much more often a long
# message must have it. Source: S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework" (2009).
SATURATION: Final = 1.2
LENGTH_WEIGHT: Final = 0.75

# Accents, of all the blocks of combining diacritical marks. Marks that spell a vowel (Devanagari, Arabic) stay.
_MARKS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_QUERY: Final = re.compile(r'"([^"]*)"|(\S+)')
_WORD: Final = re.compile(r"\w+")
# Scripts that put no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_UNSPACED: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A message that a search found.

    Attributes:
        message: the message.
        score: how well it fits; of two hits of one search the greater is the better.
        snippet: a part of its text around the first match.
        matches: where in the snippet the query's words are: pairs of a start and an end.
    """

    message: Message
    score: float
    snippet: str
    matches: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Term:
    """A word or a phrase that must occur: the longest word of it, and the pattern of all of it."""

    longest: str
    pattern: re.Pattern[str]


class MessageSearch:
    """Searches messages; it holds no text but the folded one of messages that are not in ASCII, up to a bound."""

    def __init__(self) -> None:
        self._folded: dict[str, tuple[Message, str]] = {}
        self._size = 0
        self._is_full = False

    @property
    def kept(self) -> int:
        """How many characters of folded text are kept."""
        return self._size

    def find(
        self,
        messages: Sequence[Message],
        query: str,
        *,
        role: Role | Collection[Role] | None = None,
        turn: str | None = None,
        since: int | None = None,
        until: int | None = None,
        limit: int | None = LIMIT,
    ) -> list[SearchHit]:
        """Return the messages in which all words and phrases of a query occur, the best first, then the newest.

        Args:
            messages: where to look.
            query: words, each of which stands for all that begin with it, and "phrases" in quotation marks.
            role: the role of the messages, or several; any if None.
            turn: the id of the turn that they belong to; any if None.
            since: the time from which on they were made, in milliseconds since the Unix epoch.
            until: the time up to which they were made.
            limit: how many to return at most; all if None.

        Raises: InvalidValueError, if the query holds no word, or the limit is negative.
        """
        terms = parse(query)
        if limit is not None and limit < 0:
            raise InvalidValueError(f"{limit} is no number of messages", subject="limit", remedy="give 0 or more")
        if self._is_full:
            self._forget(messages)
        chosen = _chosen(messages, role, turn, since, until)
        # In line, since a call for each of 10,000 messages would take as long as all the rest.
        texts = [
            text.lower() if isinstance(text := message.content, str) and text.isascii() else self._fold(message)
            for message in chosen
        ]
        fitting = _fitting(texts, terms)
        scores = _scores(texts, fitting, terms)
        best = nlargest(len(fitting) if limit is None else limit, zip(scores, fitting, strict=True))
        return [_hit(chosen[at], score, terms) for score, at in best]

    def _fold(self, message: Message) -> str:
        text = message.text
        if text.isascii():
            return text.lower()
        known = self._folded.get(message.id)
        if known is not None and known[0] is message:
            return known[1]
        folded = fold(text)
        size = self._size + len(folded) - (0 if known is None else len(known[1]))
        self._is_full = self._is_full or size > MAX_FOLDED
        if size <= MAX_FOLDED:
            self._folded[message.id] = (message, folded)
            self._size = size
        return folded

    def _forget(self, messages: Sequence[Message]) -> None:
        """Keep nothing of messages that are not there any more."""
        here = {message.id for message in messages}
        self._folded = {key: known for key, known in self._folded.items() if key in here}
        self._size = sum(len(folded) for _message, folded in self._folded.values())
        self._is_full = False


def fold(text: str) -> str:
    """Return a text without case, accents and other differences of form."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text).casefold()  # after which some letters can be taken apart once more
    return _MARKS.sub("", unicodedata.normalize("NFKD", folded))


def words_of(text: str) -> list[str]:
    """Return the words of a text, folded."""
    return _WORD.findall(fold(text))


def parse(query: str) -> list[Term]:
    """Return the words and phrases of a query.

    Raises: InvalidValueError, if there are none.
    """
    found = [phrase or word for phrase, word in _QUERY.findall(query)]
    terms = [_term(words) for words in map(words_of, found) if words]
    if not terms:
        raise InvalidValueError(f"{query!r} holds no word", subject="query", remedy="give a word or a phrase")
    return terms


def _term(words: list[str]) -> Term:
    first, *others = map(re.escape, words)
    # That no word goes on before it is looked at last: a pattern is found fast by the letters that it begins with.
    start = "" if _UNSPACED.match(words[0]) else rf"(?<!\w{first})"
    return Term(max(words, key=len), re.compile(r"\W+".join((first + start, *others))))


def _chosen(
    messages: Sequence[Message],
    role: Role | Collection[Role] | None,
    turn: str | None,
    since: int | None,
    until: int | None,
) -> Sequence[Message]:
    if role is not None:
        roles = {role} if isinstance(role, str) else set(role)
        messages = [message for message in messages if message.role in roles]
    if turn is not None:
        messages = [message for message in messages if message.turn == turn]
    if since is not None:
        messages = [message for message in messages if message.created_at >= since]
    if until is not None:
        messages = [message for message in messages if message.created_at <= until]
    return messages


def _fitting(texts: list[str], terms: list[Term]) -> Sequence[int]:
    """Return the places of the texts in which all terms occur."""
    fitting: Sequence[int] = range(len(texts))
    for term in sorted(terms, key=lambda term: -len(term.longest)):  # long words are rare, and leave few for the others
        word, search = term.longest, term.pattern.search
        fitting = [at for at in fitting if word in texts[at] and search(texts[at])]
    return fitting


def _scores(texts: list[str], fitting: Sequence[int], terms: list[Term]) -> list[float]:
    """Return the scores of the texts at some places.

    Not BM25 to the letter: parts of words are counted too, and a rare word weighs as much as any, since all must occur.
    """
    average = max(1.0, sum(map(len, texts)) / max(1, len(texts)))
    least, slope = SATURATION * (1 - LENGTH_WEIGHT), SATURATION * LENGTH_WEIGHT / average
    found = [texts[at] for at in fitting]
    slowness = [least + slope * len(text) for text in found]
    scores = [0.0] * len(found)
    for word in {term.longest for term in terms}:
        counts = [text.count(word) for text in found]
        scores = [score + count / (count + slow) for score, count, slow in zip(scores, counts, slowness, strict=True)]
    return scores


def _hit(message: Message, score: float, terms: list[Term]) -> SearchHit:
    text = message.text
    folded, places = _folded_with_places(text)
    spans = sorted(
        (places[found.start()], max(places[found.end()], places[found.end() - 1] + 1))
        for term in terms
        for found in term.pattern.finditer(folded)
    )
    start, end = _window(text, spans[0][0] if spans else 0)
    inside = tuple((first - start, last - start) for first, last in spans if start <= first and last <= end)
    return SearchHit(message, score, text[start:end], inside)


def _folded_with_places(text: str) -> tuple[str, Sequence[int]]:
    """Return a folded text, and for each place between its characters the place in the text that it comes from."""
    if text.isascii():
        return text.lower(), range(len(text) + 1)
    parts = [fold(character) for character in text]
    places = [at for at, part in enumerate(parts) for _ in part]
    return "".join(parts), [*places, len(text)]


def _window(text: str, first: int) -> tuple[int, int]:
    """Return a part of a text around a place, which ends between words if there are any near."""
    start = max(0, min(first - SNIPPET // 2, len(text) - SNIPPET))
    end = min(len(text), start + SNIPPET)
    if start and (space := text.find(" ", start, first)) >= 0:
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", first, end)) > first:
        end = space
    return start, end
