"""Search over messages finds what a person would call the same words, and ranks and shows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity import errors
from comity.clients.agents.conversation import search
from comity.clients.agents.conversation.frozen import FrozenMap
from comity.clients.agents.conversation.search import MessageSearch
from comity.clients.agents.conversation.snapshots import Message
from comity.clients.agents.conversation.status import Role

TEXTS = (
    ("user", "I want to CANCEL my flight to São Paulo."),
    ("assistant", "Your cancellation costs $50. Shall I go on?"),
    ("user", "No: what of the gift card, and the certificate?"),
    ("tool", '{"gift": 1, "card": "gift-card_7"}'),
    ("assistant", "Die Straße ist gesperrt; 東京は晴れです。"),
)


def said(number: int, role: str, content: str | None, turn: str = "") -> Message:
    return Message(id=f"{number:04}", role=Role(role), content=content, turn=turn, created_at=1000 + number)


MESSAGES = [said(number, role, text, f"t{number // 2}") for number, (role, text) in enumerate(TEXTS)]


def found(query: str, messages: list[Message] = MESSAGES, **filters: object) -> set[int]:
    hits = MessageSearch().find(messages, query, **filters)  # type: ignore[arg-type]
    return {messages.index(hit.message) for hit in hits}


def test_a_word_is_found_by_its_beginning_whatever_its_case() -> None:
    assert found("cancel") == {0, 1}
    assert found("CANCELLAT") == {1}


def test_a_word_is_not_found_by_its_middle_or_end() -> None:
    assert found("ancel") == set()
    assert found("light") == set()


def test_accents_and_forms_of_letters_make_no_difference() -> None:
    assert found("sao paulo") == {0}
    assert found("SÃO") == {0}
    assert found("strasse") == {4}


def test_scripts_without_spaces_are_searched_inside() -> None:
    assert found("晴れ") == {4}


def test_all_words_must_occur_and_a_phrase_in_its_order() -> None:
    assert found("card gift") == {2, 3}
    assert found('"gift card"') == {2, 3}
    assert found('"card gift"') == {3}
    assert found('"gift card" certificate') == {2}


def test_filters_take_out_by_role_turn_and_time() -> None:
    assert found("gift", role=Role.USER) == {2}
    assert found("gift", role=[Role.USER, Role.TOOL]) == {2, 3}
    assert found("gift", turn="t1") == {2, 3}
    assert found("cancel", since=1001) == {1}
    assert found("cancel", until=1000) == {0}


def test_the_best_come_first_and_of_equal_ones_the_newest() -> None:
    messages = [
        said(0, "user", "fee"),
        said(1, "user", "a fee is a fee is a fee"),
        said(2, "user", f"fee {'and more ' * 40}"),
        said(3, "user", "fee"),
    ]
    hits = MessageSearch().find(messages, "fee")
    assert [hit.message.id for hit in hits] == ["0001", "0003", "0000", "0002"]
    assert [hit.message.id for hit in MessageSearch().find(messages, "fee", limit=2)] == ["0001", "0003"]
    assert len(MessageSearch().find(messages * 10, "fee", limit=None)) == 40


def test_a_snippet_shows_the_matches_in_their_places() -> None:
    text = f"{'ein Wort nach dem andern. ' * 30}Die STRAẞE nach Łódź und die Straßen von Gdańsk. {'Ende. ' * 50}"
    (hit,) = MessageSearch().find([said(0, "user", text)], "strasse")
    assert len(hit.snippet) <= search.SNIPPET
    assert [hit.snippet[start:end] for start, end in hit.matches] == ["STRAẞE", "Straße"]
    assert hit.snippet in text


def test_a_message_that_changed_is_found_as_it_is_now() -> None:
    index = MessageSearch()
    assert index.find([said(0, "user", "café")], "cafe")
    assert not index.find([said(0, "user", "thé")], "cafe")
    assert index.find([said(0, "user", "thé")], "the")


def test_folded_texts_are_kept_up_to_a_bound_and_found_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_FOLDED", 30)
    index = MessageSearch()
    messages = [said(number, "user", f"café {number:04}") for number in range(50)]
    assert len(index.find(messages, "cafe", limit=None)) == 50
    assert index.kept <= 30 + len("café 0000")
    assert [hit.message.content for hit in index.find([said(99, "user", "thé vert")], "vert")] == ["thé vert"]
    assert index.kept <= len("thé vert")


def test_a_query_without_a_word_is_refused() -> None:
    for query in ("", "  ", '""', "?!"):
        with pytest.raises(errors.InvalidValueError, match="no word"):
            MessageSearch().find(MESSAGES, query)
    with pytest.raises(errors.InvalidValueError, match="-1"):
        MessageSearch().find(MESSAGES, "gift", limit=-1)


def test_messages_without_text_and_parts_that_are_text() -> None:
    shown = FrozenMap({"type": "image_url", "image_url": FrozenMap(url="picture.png")})
    parts = (FrozenMap(type="text", text="see the picture"), shown)
    messages = [said(0, "assistant", None), Message(id="0001", role=Role.USER, content=parts)]
    assert found("picture", messages) == {1}


@given(st.lists(st.text(max_size=30), max_size=8), st.integers(0, 7), st.data())
def test_every_word_of_a_message_finds_it_and_shows_it(texts: list[str], at: int, data: st.DataObject) -> None:
    messages = [said(number, "user", text) for number, text in enumerate(texts)]
    words = search.words_of(texts[at]) if at < len(texts) else []
    if words:
        word = data.draw(st.sampled_from(words))
        hits = MessageSearch().find(messages, f'"{word}"', limit=None)
        (hit,) = (hit for hit in hits if hit.message.id == f"{at:04}")
        assert hit.snippet in texts[at]
