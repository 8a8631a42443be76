"""What docs/performance.md and its picture say of the peers: written anew from a run, between two marks."""

import re
from pathlib import Path
from typing import Final

from benchmarks.peers.picture import draw
from benchmarks.peers.servers import COMITY_SETTINGS, ROOT, Server
from benchmarks.peers.table import WIRE_HEADINGS, Outcomes, figures, wire
from benchmarks.rows import markdown

PAGE: Final = ROOT / "docs" / "performance.md"
PICTURE: Final = ROOT / "docs" / "images" / "peers.svg"
BEGIN: Final = "<!-- scripts/bench peers --write: begin -->"
END: Final = "<!-- scripts/bench peers --write: end -->"


def write(outcomes: Outcomes, servers: list[Server]) -> None:
    """Write the tables of a run into the page, and draw the picture."""
    names = [server.name for server in servers]
    text = PAGE.read_text()
    if not (BEGIN in text and END in text):
        raise ValueError(f"{PAGE.name} lacks the marks between which the tables belong: {BEGIN} and {END}")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{section(outcomes, servers)}\n{END}{rest.split(END)[1]}")
    draw(outcomes, names, PICTURE)


def section(outcomes: Outcomes, servers: list[Server]) -> str:
    """Return what stands between the marks."""
    parts = [
        f"{processor()}. {'; '.join(server.versions() for server in servers)}.{_settings()}",
        markdown(*figures(outcomes, [server.name for server in servers])),
        "What went over the wire in each measured span. A (!) marks a server that could not do more, one that others\n"
        "kept from over 5% of its core, and a load that could not do more, or was over 5 ms late with what was due.\n"
        "Then the machine was busy, latencies say little, and whoever merges what waits looks better for it.",
        markdown(WIRE_HEADINGS, wire(outcomes)),
    ]
    return "\n\n".join(parts)


def processor() -> str:
    """Return what the machine's processors are, and how many there are."""
    models = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{len(models)} cores of {models[0].strip()}" if models else "Processor unknown"


def _settings() -> str:
    if not COMITY_SETTINGS:
        return ""
    settings = ", ".join(f"`{name}` {value}" for name, value in COMITY_SETTINGS.items())
    return f" Comity's limits are raised to what the load needs: {settings}."
