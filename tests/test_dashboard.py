"""The live page, in a real browser, against a real server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from playwright.async_api import ConsoleMessage, Error, Page, async_playwright, expect

import comity
from comity import Counter, Log, Map, ORSet, Register, State, Text
from tests.support.optional import require_tool
from tests.support.server import ServerProcess, running_server

ROOM: Final = "shared/page-test"
WITHIN_A_SECOND: Final = 1_000  # milliseconds: what the page promises
PATIENCE: Final = 20_000  # milliseconds, for what depends on a server or a browser that starts
CHROMIUM_ARGS: Final = (
    "--no-sandbox",  # the tests may run as root, where Chromium's sandbox does not
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
)


class Mission(State):
    goal: Register[str]
    spent: Counter
    tags: ORSet[str]
    tasks: Map[dict[str, Any]]
    notes: Log[str]
    draft: Text


@asynccontextmanager
async def browser_page() -> AsyncGenerator[Page]:
    """Open a browser's page, and fail at the end if it met an error or broke its content security policy."""
    chromium = require_tool("chromium", "chromium-browser", "google-chrome")
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            problems.append(message.text)

    def on_error(error: Error) -> None:
        problems.append(str(error))

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        try:
            page = await browser.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("console", on_console)
            page.on("pageerror", on_error)
            yield page
        finally:
            await browser.close()
    assert problems == []


class Scene(NamedTuple):
    """A server, an agent that edits a room of it, and a browser."""

    server: ServerProcess
    mission: Mission
    page: Page


@asynccontextmanager
async def scene(data: Path, agent: str = "planner", room: str = ROOM) -> AsyncGenerator[Scene]:
    async with (
        running_server(data) as server,
        comity.connect(server.url, agent=agent) as client,
        client.open(room, Mission) as mission,
        browser_page() as page,
    ):
        yield Scene(server, mission, page)


async def follow(page: Page, http: str, room: str = ROOM) -> None:
    """Open a room on the page, and wait until the page has its state."""
    await page.goto(f"{http}/#room={quote(room)}")
    await shows_status(page, "live")


async def shows_status(page: Page, status: str) -> None:
    await expect(page.locator(f"[data-status={status}]")).to_be_visible(timeout=PATIENCE)


async def shows_value(page: Page, field: str, value: str, patience: int = PATIENCE) -> None:
    await expect(page.locator(f'[data-field="{field}"] [data-value]')).to_have_text(value, timeout=patience)


async def test_page_shows_an_edit_within_a_second(tmp_path: Path) -> None:
    async with scene(tmp_path) as (server, mission, page):
        mission.goal.set("first")
        await mission.durable()
        await follow(page, server.http)
        await shows_value(page, "goal", "first")
        mission.goal.set("second")
        await shows_value(page, "goal", "second", WITHIN_A_SECOND)
        mission.spent.add(120)
        await shows_value(page, "spent", "120", WITHIN_A_SECOND)


async def test_page_names_the_author_of_every_change(tmp_path: Path) -> None:
    async with scene(tmp_path) as (server, mission, page):
        mission.goal.set("first")
        await mission.durable()
        await follow(page, server.http)
        await expect(page.locator('[data-field="goal"] [data-origin]')).to_contain_text("planner")
        mission.goal.set("second")
        change = page.locator('[data-feed] [data-change="goal"]')
        await expect(change).to_have_attribute("data-author", "planner")
        await expect(change).to_contain_text("first → second")


async def test_page_shows_who_is_present_and_who_has_left(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, browser_page() as page:
        present = page.locator('[data-presence] [data-agent="planner"]')
        await follow(page, server.http)
        async with comity.connect(server.url, agent="planner") as client, client.open(ROOM, Mission):
            await expect(present).to_be_visible(timeout=PATIENCE)
        await expect(present).to_be_hidden(timeout=PATIENCE)


async def test_page_catches_up_with_what_it_missed(tmp_path: Path) -> None:
    async with scene(tmp_path) as (server, mission, page):
        mission.goal.set("before")
        await mission.durable()
        await follow(page, server.http)
        await shows_value(page, "goal", "before")
        await server.kill()
        await shows_status(page, "offline")
        mission.goal.set("meanwhile")
        await server.restart()
        await mission.durable()
        await shows_value(page, "goal", "meanwhile")
        await shows_status(page, "live")
        change = page.locator('[data-feed] [data-change="goal"]').first
        await expect(change).to_have_attribute("data-author", "planner")


async def test_page_catches_up_when_only_its_own_network_was_away(tmp_path: Path) -> None:
    async with scene(tmp_path) as (server, mission, page):
        mission.goal.set("before")
        await mission.durable()
        await follow(page, server.http)
        await shows_value(page, "goal", "before")
        await page.context.set_offline(True)
        mission.goal.set("meanwhile")
        await mission.durable()
        await shows_status(page, "offline")
        await shows_value(page, "goal", "before")
        await page.context.set_offline(False)
        await shows_value(page, "goal", "meanwhile")
        await shows_status(page, "live")


async def test_page_shows_every_kind_of_field(tmp_path: Path) -> None:
    async with scene(tmp_path) as (server, mission, page):
        await follow(page, server.http)
        with mission.transaction():
            mission.goal.set("ship it")
            mission.spent.add(7)
            mission.tags.add("urgent")
            mission.tasks["build"] = {"state": "running"}
            mission.notes.append("started")
            mission.draft.insert(0, "Dear all")
        await shows_value(page, "goal", "ship it")
        await shows_value(page, "spent", "7")
        await shows_value(page, "tags", "urgent")
        await shows_value(page, "tasks", '{state: "running"}')
        await shows_value(page, "notes", "started")
        await shows_value(page, "draft", "Dear all")
        await expect(page.locator('[data-field="tasks"] [data-key="build"]')).to_be_visible()


async def test_page_marks_concurrent_values_until_one_is_chosen(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, browser_page() as page:
        planner = comity.connect(server.url, agent="planner")
        writer = comity.connect(server.url, agent="writer")
        async with planner, writer, planner.open(ROOM, Mission) as mine, writer.open(ROOM, Mission) as theirs:
            await mine.synced()
            await theirs.synced()
            await follow(page, server.http)
            with mine.replica.offline(), theirs.replica.offline():
                mine.goal.set("mine")
                theirs.goal.set("theirs")
            disputed = page.locator('[data-field="goal"] [data-conflict="2"]')
            await expect(disputed).to_be_visible(timeout=PATIENCE)
            await expect(disputed).to_contain_text("mine")
            await expect(disputed).to_contain_text("theirs")
            await mine.durable()
            await theirs.durable()
            await mine.synced()
            mine.goal.set("settled")
            await expect(page.locator('[data-field="goal"] .row > [data-value]')).to_have_text("settled")


async def test_page_lists_rooms_and_opens_one_by_its_link(tmp_path: Path) -> None:
    name = "session/42 ünï & co"
    async with running_server(tmp_path) as server, browser_page() as page:
        await page.goto(server.http)
        await expect(page.locator("[data-welcome]")).to_contain_text("comity.connect")
        async with comity.connect(server.url, agent="planner") as client, client.open(name, Mission) as mission:
            mission.goal.set("linked")
            await mission.durable()
            await page.locator(f'[data-room="{name}"] a').click(timeout=PATIENCE)
            await shows_value(page, "goal", "linked")
            await page.reload()
            await shows_value(page, "goal", "linked")


async def test_page_shows_markup_as_text(tmp_path: Path) -> None:
    markup = "<img src=x onerror=alert(1)>"
    async with scene(tmp_path, agent=markup) as (server, mission, page):
        await follow(page, server.http)
        mission.goal.set(markup)
        mission.tasks[markup] = {markup: markup}
        await shows_value(page, "goal", markup)
        await expect(page.locator('[data-feed] [data-change="goal"]')).to_contain_text(markup)
        await expect(page.locator("img")).to_have_count(0)


async def test_page_counts_what_it_does_not_show(tmp_path: Path) -> None:
    async with scene(tmp_path) as (server, mission, page):
        with mission.transaction():
            for number in range(1_000):
                mission.tasks[f"task-{number}"] = {"number": number}
                mission.notes.append(f"note {number}")
        await mission.durable()
        await follow(page, server.http)
        for field in ("tasks", "notes"):
            card = page.locator(f'[data-field="{field}"]')
            await expect(card.locator("[data-count]")).to_have_text("1000")
            await expect(card.locator("[data-more]")).to_contain_text("not shown")
            assert await card.locator("[data-value]").count() <= 200
