"""The JavaScript client in a real browser: what IndexedDB keeps outlives the page, and reaches the server once."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Page, async_playwright

import comity
from comity import Counter, ORSet, State, Text
from tests.support.optional import ROOT, require_path, require_tool
from tests.support.server import ServerProcess, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOM: Final = "shared/browser-test"
BLANK: Final = "/healthz"  # a page of the server's origin on which nothing happens
PATIENCE: Final = 20_000  # milliseconds
CHROMIUM_ARGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
ENTRY: Final = """
export * as Y from 'yjs'
export { connect } from './src/client.js'
export { indexedDBStorage } from './src/indexeddb.js'
export { schema } from './src/state.js'
export { counter } from './src/counter.js'
export { set } from './src/set.js'
export { text } from './src/text.js'
"""
# What a page does first: a room kept in IndexedDB, and a note of everything that it reports.
OPEN: Final = """
([url, name, isOffline]) => {
  globalThis.storage = comity.indexedDBStorage()
  globalThis.client = comity.connect(url, { agent: 'page', storage, firstPause: 20, longestPause: 100 })
  globalThis.room = client.open(name)
  if (isOffline) globalThis.online = room.offline() // before it can have a connection
  const { counter, set, text } = comity
  globalThis.mission = room.state(comity.schema({ spent: counter(), tags: set(), draft: text() }))
  globalThis.told = []
  for (const name of ['error', 'aside', 'rejected']) {
    globalThis.room.on(name, what => told.push([name, (what.error ?? what).name]))
  }
}
"""
ROWS: Final = "() => storage.transact(async tx => (await tx.list([room.name, 'update'])).length)"

MOST_ROWS: Final = 300  # what a journal has between two foldings, of two tabs
ASIDE: Final = ["aside", "LineageError"]
ASIDES: Final = """async () => (await room.asides()).map(({ update }) => {
  const doc = new comity.Y.Doc()
  comity.Y.applyUpdate(doc, update)
  return doc.getText('draft').toString()
})"""
# All that IndexedDB has of the room, as one text.
KEPT: Final = """() => storage.transact(async tx => {
  const values = (await tx.list([room.name])).map(([, value]) => value)
  return values.map(value => value instanceof Uint8Array ? new TextDecoder().decode(value) : '').join()
})"""
DELETE: Final = """() => new Promise((resolve, reject) => {
  const request = indexedDB.deleteDatabase('comity')
  request.onsuccess = () => resolve()
  request.onerror = request.onblocked = () => reject(new Error('not deleted'))
})"""


class Mission(State):
    spent: Counter
    tags: ORSet[str]
    draft: Text


class Browsing(NamedTuple):
    """A server, and a browser whose pages it serves, which remember what pages before them kept."""

    server: ServerProcess
    context: BrowserContext

    async def page(self, *, offline: bool = False) -> Page:
        """Open a page with the client on it, in a room, without a connection at first."""
        page = await self.context.new_page()
        page.set_default_timeout(PATIENCE)
        await page.goto(f"{self.server.http}{BLANK}")
        await page.evaluate(OPEN, [self.server.url, ROOM, offline])
        return page

    async def offline_page(self) -> Page:
        """Open a page that stays offline until ``online()`` is called in it."""
        page = await self.page(offline=True)
        await page.evaluate("() => room.loaded")
        return page


@pytest.fixture(scope="module")
def script() -> str:
    """Return the client as one script, whose exports are in the global ``comity``."""
    folder = ROOT / "clients" / "js"
    require_tool("node")
    esbuild = require_path(folder / "node_modules" / ".bin" / "esbuild", "scripts/setup dev installs it")
    options = ["--bundle", "--format=iife", "--global-name=comity", "--footer:js=globalThis.comity = comity"]
    command = [str(esbuild), *options]
    done = subprocess.run(command, cwd=folder, input=ENTRY, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncGenerator[Chromium]:
    """Run a browser for all tests of this module; each has a profile of its own in it."""
    path = require_tool("chromium", "chromium-browser", "google-chrome")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield running
        await running.close()


@asynccontextmanager
async def browsing(chromium: Chromium, script: str, data: Path) -> AsyncGenerator[Browsing]:
    problems: list[str] = []
    async with running_server(data) as server, await chromium.new_context() as context:
        context.on("weberror", lambda error: problems.append(str(error.error)))
        await context.add_init_script(script)
        yield Browsing(server, context)
    assert problems == []


async def text_of(page: Page) -> str:
    return str(await page.evaluate("() => mission.draft.toString()"))


@asynccontextmanager
async def python_client(server: ServerProcess) -> AsyncGenerator[Mission]:
    async with comity.connect(server.url, agent="planner") as client, client.open(ROOM, Mission) as mission:
        await mission.synced()
        yield mission


async def test_offline_work_of_a_closed_page_is_sent_by_the_next(
    tmp_path: Path, chromium: Chromium, script: str
) -> None:
    async with browsing(chromium, script, tmp_path) as here:
        first = await here.page()
        await first.evaluate(
            "() => { mission.spent.add(5); mission.draft.insert(0, 'Dear all'); return room.durable() }"
        )
        await first.evaluate("() => { room.offline() }")
        await first.evaluate("() => { for (let n = 0; n < 100; n++) mission.spent.add(1) }")
        await first.evaluate("() => { mission.spent.subtract(3); mission.tags.add('late'); return room.saved() }")
        await first.close()
        async with python_client(here.server) as mission:
            mission.spent.add(1_000)
            await mission.durable()
            assert mission.spent.value == 1_005
            second = await here.offline_page()
            assert await second.evaluate("() => mission.spent.value") == 102
            assert await second.evaluate("() => room.pending") == 102
            await second.evaluate("() => { mission.spent.add(10); online(); return room.durable() }")
            await until(mission, lambda: mission.spent.value == 1_112)
            assert set(mission.tags) == {"late"}
            assert str(mission.draft) == "Dear all"
            await second.evaluate("() => room.synced()")
            assert await second.evaluate("() => [mission.spent.value, room.pending, told]") == [1_112, 0, []]
        third = await here.offline_page()
        assert await third.evaluate("() => [mission.spent.value, room.pending, told]") == [1_112, 0, []]


async def test_an_edit_survives_a_page_that_is_closed_at_once(tmp_path: Path, chromium: Chromium, script: str) -> None:
    async with browsing(chromium, script, tmp_path) as here:
        page = await here.offline_page()
        await page.evaluate("() => mission.draft.insert(0, 'last words')")
        await page.close()
        assert await text_of(await here.offline_page()) == "last words"


async def test_two_tabs_lose_nothing_of_each_other(tmp_path: Path, chromium: Chromium, script: str) -> None:
    async with browsing(chromium, script, tmp_path) as here:
        tabs = [await here.offline_page(), await here.offline_page()]
        write = """async () => {
          for (let n = 0; n < 400; n++) {
            mission.spent.add(1)
            if (n % 5 === 0) await new Promise(resolve => setTimeout(resolve))
          }
          await room.saved()
        }"""
        await asyncio.gather(*(tab.evaluate(write) for tab in tabs))
        assert await tabs[0].evaluate(ROWS) <= MOST_ROWS
        for tab in tabs:
            await tab.close()
        after = await here.offline_page()
        assert await after.evaluate("() => [mission.spent.value, room.pending]") == [800, 800]
        await after.evaluate("() => { online(); return room.durable() }")
        async with python_client(here.server) as mission:
            assert mission.spent.value == 800


async def test_a_rebuilt_room_leaves_the_old_document_aside(tmp_path: Path, chromium: Chromium, script: str) -> None:
    async with browsing(chromium, script, tmp_path) as here:
        page = await here.page()
        await page.evaluate("() => { mission.draft.insert(0, 'old'); return room.durable() }")
        await page.evaluate("() => { room.offline(); mission.draft.insert(3, ' and mine'); return room.saved() }")
        await page.close()
        await here.server.kill()
        shutil.rmtree(tmp_path)
        await here.server.start()
        async with python_client(here.server) as mission:
            mission.draft.insert(0, "new")
            await mission.durable()
        page = await here.page()
        refused = await page.evaluate("() => room.durable().catch(error => error.name)")
        assert refused == "LineageError"
        await page.evaluate("async () => { await room.synced(); await room.saved() }")
        assert await page.evaluate("() => [room.doc.getText('draft').toString(), told]") == ["new", [ASIDE]]
        assert await page.evaluate(ASIDES) == ["old and mine"]
        await page.close()
        page = await here.offline_page()
        assert await text_of(page) == "new"
        assert await page.evaluate(ASIDES) == ["old and mine"]
        async with python_client(here.server) as mission:
            assert str(mission.draft) == "new"


async def test_an_erased_room_leaves_nothing_in_the_browser(tmp_path: Path, chromium: Chromium, script: str) -> None:
    async with browsing(chromium, script, tmp_path) as here:
        page = await here.page()
        await page.evaluate("() => { mission.draft.insert(0, 'secret'); return room.durable() }")
        await page.evaluate("() => { room.offline(); mission.draft.insert(6, ' secret'); return room.saved() }")
        assert "secret" in await page.evaluate(KEPT)
        await page.close()
        async with comity.connect(here.server.url).history(ROOM) as history:
            assert len(await history.erase()) == 1
        page = await here.page()
        assert await page.evaluate("() => room.durable().catch(error => error.name)") == "ErasedError"
        await page.evaluate("async () => { await room.synced(); await room.saved() }")
        assert await page.evaluate("() => [room.doc.getText('draft').toString(), told, room.unmerged]") == ["", [], []]
        assert "secret" not in await page.evaluate(KEPT)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("indexedDB.open = () => { throw new DOMException('denied', 'SecurityError') }", "SecurityError: denied"),
        ("IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError') }", "full"),
    ],
)
async def test_a_browser_that_stores_nothing_is_reported_and_edits_go_on(
    tmp_path: Path, chromium: Chromium, script: str, fault: str, said: str
) -> None:
    async with browsing(chromium, script, tmp_path) as here:
        await here.context.add_init_script(fault)
        page = await here.page()
        await page.evaluate("() => { mission.spent.add(3); return room.durable() }")
        assert said in str(await page.evaluate("() => room.saved().catch(error => error.message)"))
        await page.evaluate("() => { mission.spent.add(4); return room.durable() }")
        assert await page.evaluate("() => told") == [["error", "StorageError"]]
        async with python_client(here.server) as mission:
            assert mission.spent.value == 7


async def test_data_that_is_deleted_under_an_open_page_is_written_again(
    tmp_path: Path, chromium: Chromium, script: str
) -> None:
    async with browsing(chromium, script, tmp_path) as here:
        page = await here.offline_page()
        await page.evaluate("() => { mission.spent.add(3); return room.saved() }")
        other = await here.context.new_page()
        await other.goto(f"{here.server.http}{BLANK}")
        await other.evaluate(DELETE)
        await page.evaluate("() => { mission.spent.add(4); return room.saved() }")
        assert await page.evaluate("() => told") == []
        await page.close()
        after = await here.offline_page()
        assert await after.evaluate("() => mission.spent.value") == 7
