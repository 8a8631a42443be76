"""Settings: one table, every entry of it documented, and every way to give one works."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from comity.server.settings import DEEPEST, Settings
from tests.support.optional import ROOT

PAGE = ROOT / "docs" / "settings.md"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_settings_are_documented_each(name: str) -> None:
    row = re.search(rf"^\| `{name}` \| `?(.*?)`? \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert row, f"{name} has no row in docs/settings.md"
    field = Settings.model_fields[name]
    default = "" if field.default is None else str(field.default).lower()
    assert row[1] == default
    assert row[2].startswith(field.description or "?")


def test_settings_documented_exist() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(Settings.model_fields)


def test_settings_come_from_the_environment_and_from_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMITY_PORT", "1234")
    monkeypatch.setenv("COMITY_DATA", "/somewhere")
    assert Settings().port == 1234
    assert Settings().data == Path("/somewhere")
    assert Settings(port=5).port == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 70000},
        {"anyone": "everything"},
        {"outbox_limit": 0},
        {"unknown": 1},
        {"max_value": 0},
        {"max_name": 0},
        {"max_depth": DEEPEST + 1},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)
