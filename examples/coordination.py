"""Three agents share one provider: none waits for nothing, and together they never ask for more than it allows.

Start the server with scripts/serve, then this program: .venv/bin/python examples/coordination.py
"""

import asyncio
import random
import sys
from datetime import timedelta

import comity
from comity.clients.agents.coordination import ApiCoordinator

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765"


async def ask(prompt: str) -> int:
    """Stand in for a provider: it takes a moment, some tokens, and sometimes fails."""
    await asyncio.sleep(0.05)
    if random.random() < 0.1:
        raise ConnectionError("overloaded")
    return 10 * len(prompt.split())


async def work(name: str) -> None:
    """Ask a few times, as fast as the quotas allow."""
    client = comity.connect(URL, agent=name)
    async with client, ApiCoordinator.open(client, "team-7-apis") as apis:
        await apis.tier.synced()
        apis.limit("openai", "tokens", 400, per=timedelta(seconds=1), batch=20)
        apis.limit("openai", "at once", 2, per=None)
        for number in range(5):
            try:
                async with apis.request("openai", kind="chat", take={"tokens": 40, "at once": 1}) as request:
                    request.ok(tokens=await ask(f"{name} wants to know about number {number}"))
            except ConnectionError as error:
                print(f"{name}: {error}; the next one may ask in {apis.backoff('openai'):.1f} s")
        usage = apis.usage("openai", agent=name)
        print(f"{name}: {usage.requests} requests, {usage.failures} failed, {usage.tokens} tokens")


async def main() -> None:
    """Run three agents at once."""
    await asyncio.gather(*map(work, ("ana", "ben", "cleo")))


asyncio.run(main())
