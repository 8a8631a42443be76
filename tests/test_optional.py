"""A test that cannot run says so, and fails where everything is meant to be there."""

from pathlib import Path

import pytest

from tests.support.optional import REQUIRE_ALL, real_data, require_path, require_tool

ABSENT = "comity-no-such-program"


def test_optional_tool_that_is_installed_is_found() -> None:
    assert Path(require_tool(ABSENT, "sh")).name == "sh"


def test_optional_tool_that_is_absent_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"{ABSENT} is not installed"):
        require_tool(ABSENT)


def test_optional_tool_that_is_absent_fails_where_all_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    with pytest.raises(pytest.fail.Exception, match=f"{ABSENT} is not installed, and {REQUIRE_ALL}=1"):
        require_tool(ABSENT)


def test_optional_path_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    with pytest.raises(pytest.skip.Exception, match="nothing is absent; make it"):
        require_path(tmp_path / "nothing", "make it")


def test_real_data_that_is_absent_skips_even_where_all_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    with pytest.raises(pytest.skip.Exception, match="no real data"):
        real_data("no-such-file.json.gz")
