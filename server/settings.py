"""Every setting of the server: its name, its default, and what it does.

Each is an option of ``comity serve`` or an environment variable of its name in capitals after ``COMITY_``.
"""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from comity.crdt_types.limits import MAX_DEPTH, MAX_NAME, MAX_READ_DEPTH, MAX_VALUE_BYTES

from .auth import Anyone
from .transport.addresses import networks

KIB: Final = 1024
MIB: Final = 1024 * KIB

# Only programs on this machine: nobody has to think about authentication before trying it.
HOST: Final = "127.0.0.1"
# Registered to nothing that is common on a developer's machine.
PORT: Final = 8765
# Beside wherever the server is started, so that it is found again and easily thrown away.
DATA: Final = Path("data")
# A power cut may come at any time, and an acknowledgement must survive it.
DURABILITY: Final = "fsync"
# The initial sync of a document of a million characters with its history is a few MiB, in one message.
MAX_MESSAGE: Final = 64 * MIB
# A cell is sent whole at each write, and kept by every replica: what is larger belongs beside the document.
MAX_VALUE: Final = MAX_VALUE_BYTES
# What is nested deeper no replica reads.
DEEPEST: Final = MAX_READ_DEPTH
# About ten seconds of a busy room for one reader; a thousand stalled readers then take 2 GiB at the very worst.
OUTBOX_LIMIT: Final = 2 * MIB
# Longer than the hiccups of mobile networks and of browser tabs in the background.
STALL_SECONDS: Final = 60.0
# Page reloads and restarts of agents fall within it; holding a quiet room longer buys nothing.
IDLE_SECONDS: Final = 60.0
# Fits any tier and a UUID or two, and every file name should rooms ever become files.
ROOM_NAME_LENGTH: Final = 200
# A name, a colour, a cursor and what an agent is doing; repeated to everyone at every change.
PRESENCE_BYTES: Final = 16 * KIB
# A connection speaks for itself; a gateway may speak for a team behind it.
PRESENCE_ENTRIES: Final = 64
# A stock provider repairs a gap with one round trip; that many gaps in a row are a broken client.
MAX_PENDING_SYNC: Final = 64
# Half of what process managers commonly grant between the first signal and the kill (10 s).
DRAIN_SECONDS: Final = 5.0
# Below the 30 to 60 s after which home routers and proxies forget a silent connection.
PING_INTERVAL: Final = 20.0
# Two lost packets' worth of retransmission, and a laptop's short sleep.
PING_TIMEOUT: Final = 20.0
# Off: whoever only watches is idle by nature, and pings find those that are gone.
IDLE_TIMEOUT: Final = 0.0
# Our clients merge the edits of a turn: a program that writes 20,000 a second sends 200 messages. Where each edit is a
# message it costs some 12 microseconds: at this rate an eighth of a core.
CONNECTION_MESSAGES: Final = 10_000.0
# More than edits ever come to: a program that writes 20,000 a second sends 1 MB.
CONNECTION_BYTES: Final = 16.0 * MIB
# An agent has a connection for each room that it has open, and is seldom busy in more than a few.
PRINCIPAL_MESSAGES: Final = 4 * CONNECTION_MESSAGES
PRINCIPAL_BYTES: Final = 4 * CONNECTION_BYTES
# A program that fills a room when it starts is done within it.
BURST_SECONDS: Final = 10.0
# Whoever has all of a room must be able to give it back in one message; in memory it takes several times as much.
MAX_DOCUMENT: Final = MAX_MESSAGE
# A room takes some 10 KiB and its document: those that nobody is in come to 100 MiB at this number, if they are small.
MAX_ROOMS: Final = 10_000
# As many as the system lets the process have open files, but for some that the database and the logs need.
MAX_CONNECTIONS: Final = None
# An office behind one address: 200 people with five rooms each.
ADDRESS_CONNECTIONS: Final = 1_000
# Each is a place in a room, with all that a connection has there; an application with more of them opens a second
# socket.
HOCUSPOCUS_DOCUMENTS: Final = 100
# A token may have to be fetched from somewhere first; Hocuspocus itself gives as long.
HOCUSPOCUS_OPEN_SECONDS: Final = 60.0
# Several times what a request of some hundred bytes takes on the worst of networks.
REQUEST_SECONDS: Final = 10.0
# What browsers, and the proxies in between, ever put into a request's head is below half of it.
REQUEST_BYTES: Final = 64 * KIB
# For good: history is what makes edits attributable and reversible.
HISTORY_DAYS: Final = None
# By themselves none are made: what is worth a name, people know best.
CHECKPOINT_MINUTES: Final = None
CHECKPOINT_CHANGES: Final = None
# As many as one looks through for the moment before something went wrong.
CHECKPOINT_KEEP: Final = 10
# Where backups go is for the operator to choose: on the same disk they are of little use.
BACKUP_DIR: Final = None
# What a lost disk may cost at most, where replicas do not bring it back.
BACKUP_HOURS: Final = 24.0
# Restoring reads a full backup and all since: a week of them is still read in one go.
BACKUP_FULL_DAYS: Final = 7.0
# A month of weeks: what was broken without being noticed is mostly noticed by then.
BACKUP_KEEP: Final = 4
# A conversation that is taken up again after a weekend, or a holiday week.
SESSION_TTL_HOURS: Final = 7.0 * 24
# A quiet server: what an operator must act on, nothing per message.
LOG_LEVEL: Final = "warning"


class Settings(BaseSettings):
    """The server's settings; an environment variable wins over a default, an argument over both."""

    model_config = SettingsConfigDict(env_prefix="COMITY_", frozen=True, extra="forbid")

    host: str = Field(default=HOST, description="Address to listen on.")
    port: int = Field(default=PORT, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    data: Path = Field(default=DATA, description="Directory of the database; made when absent.")
    insecure: bool = Field(default=False, description="Listen beyond this machine although nobody is authenticated.")
    anyone: Anyone = Field(default="write", description="What somebody unauthenticated may do: write, read or nothing.")
    origins: str = Field(
        default="", description="Other web origins whose pages may connect, separated by commas; * for any."
    )
    durability: Literal["fsync", "os"] = Field(
        default=DURABILITY,
        description="What an acknowledgement survives: fsync a power cut, os the end of the process.",
    )
    max_message: int = Field(default=MAX_MESSAGE, ge=KIB, description="Largest message of a client, in bytes.")
    max_value: int = Field(default=MAX_VALUE, ge=1, description="Largest value of a typed field, in bytes as stored.")
    max_name: int = Field(
        default=MAX_NAME, ge=1, description="Longest name of a field, key or agent in a typed entry, in bytes of UTF-8."
    )
    max_depth: int = Field(
        default=MAX_DEPTH,
        ge=0,
        le=DEEPEST,
        description="How many lists and maps may lie in each other in a value of a typed field.",
    )
    outbox_limit: int = Field(
        default=OUTBOX_LIMIT,
        ge=KIB,
        description="Bytes that may wait for one reader before its queue becomes one diff.",
    )
    stall_seconds: float = Field(
        default=STALL_SECONDS, gt=0, description="How long a reader that fell behind may take nothing at all."
    )
    idle_seconds: float = Field(
        default=IDLE_SECONDS, ge=0, description="How long a room without connections stays in memory."
    )
    room_name_length: int = Field(default=ROOM_NAME_LENGTH, ge=1, description="Longest room name, in bytes of UTF-8.")
    presence_bytes: int = Field(default=PRESENCE_BYTES, ge=2, description="Largest presence of one client, in bytes.")
    presence_entries: int = Field(
        default=PRESENCE_ENTRIES, ge=1, description="Clients that one connection may announce the presence of."
    )
    max_pending_sync: int = Field(
        default=MAX_PENDING_SYNC, ge=1, description="Updates of a connection that may wait for others they build on."
    )
    drain_seconds: float = Field(default=DRAIN_SECONDS, gt=0, description="How long shutting down may take.")
    ping_interval: float = Field(default=PING_INTERVAL, gt=0, description="Seconds between pings to a client.")
    ping_timeout: float = Field(default=PING_TIMEOUT, gt=0, description="Seconds that a client has to answer a ping.")
    idle_timeout: float = Field(
        default=IDLE_TIMEOUT,
        ge=0,
        description="Seconds without a word, in a room that rests, after which a connection is closed; 0 is never.",
    )
    connection_messages: float = Field(
        default=CONNECTION_MESSAGES,
        ge=0,
        description="Messages that one connection may send per second; 0 is any number.",
    )
    connection_bytes: float = Field(
        default=CONNECTION_BYTES, ge=0, description="Bytes that one connection may send per second; 0 is any number."
    )
    principal_messages: float = Field(
        default=PRINCIPAL_MESSAGES,
        ge=0,
        description="Messages that all connections of one principal may send per second; 0 is any number.",
    )
    principal_bytes: float = Field(
        default=PRINCIPAL_BYTES,
        ge=0,
        description="Bytes that all connections of one principal may send per second; 0 is any number.",
    )
    burst_seconds: float = Field(
        default=BURST_SECONDS, gt=0, description="Seconds' worth of these rates that may come at once after a pause."
    )
    max_document: int = Field(
        default=MAX_DOCUMENT, ge=0, description="Largest document of a room, in bytes as stored; 0 is any size."
    )
    max_rooms: int = Field(default=MAX_ROOMS, ge=0, description="Rooms that may be in memory; 0 is any number.")
    max_connections: int | None = Field(
        default=MAX_CONNECTIONS,
        ge=1,
        description="Connections that may be open; unset is as many as the system's limit of open files allows.",
    )
    address_connections: int = Field(
        default=ADDRESS_CONNECTIONS, ge=0, description="Connections that one address may have open; 0 is any number."
    )
    hocuspocus_documents: int = Field(
        default=HOCUSPOCUS_DOCUMENTS, ge=1, description="Documents that one Hocuspocus connection may have open."
    )
    hocuspocus_open_seconds: float = Field(
        default=HOCUSPOCUS_OPEN_SECONDS,
        gt=0,
        description="How long a Hocuspocus connection may have opened no document.",
    )
    trusted_proxies: str = Field(
        default="", description="Addresses or networks of proxies, separated by commas, that tell whom they speak for."
    )
    request_seconds: float = Field(default=REQUEST_SECONDS, gt=0, description="How long a request may take to arrive.")
    request_bytes: int = Field(
        default=REQUEST_BYTES, ge=KIB, description="Largest first line and headers of a request, in bytes."
    )
    history_days: float | None = Field(
        default=HISTORY_DAYS,
        gt=0,
        description="Days of history kept of shared rooms and those of no tier; unset keeps it for good.",
    )
    session_history_days: float | None = Field(
        default=HISTORY_DAYS,
        gt=0,
        description="Days of history kept of session rooms, while they live; unset keeps it for good.",
    )
    local_history_days: float | None = Field(
        default=HISTORY_DAYS, gt=0, description="Days of history kept of local rooms; unset keeps it for good."
    )
    persistent_history_days: float | None = Field(
        default=HISTORY_DAYS, gt=0, description="Days of history kept of persistent rooms; unset keeps it for good."
    )
    checkpoint_minutes: float | None = Field(
        default=CHECKPOINT_MINUTES,
        gt=0,
        description="Minutes after which a room that changed gets an automatic checkpoint; unset is never.",
    )
    checkpoint_changes: int | None = Field(
        default=CHECKPOINT_CHANGES,
        ge=1,
        description="Versions after which a room gets an automatic checkpoint; unset is never.",
    )
    checkpoint_at_end: bool = Field(
        default=False, description="Make an automatic checkpoint when the last one who was in a room has left."
    )
    checkpoint_keep: int = Field(
        default=CHECKPOINT_KEEP, ge=1, description="Automatic checkpoints that each room keeps: the newest."
    )
    backup_dir: Path | None = Field(
        default=BACKUP_DIR, description="Directory that backups are written to by themselves; unset is never."
    )
    backup_hours: float = Field(default=BACKUP_HOURS, gt=0, description="Hours between two backups.")
    backup_full_days: float = Field(
        default=BACKUP_FULL_DAYS, ge=0, description="Days after which a backup is full again; 0 makes every one full."
    )
    backup_keep: int = Field(
        default=BACKUP_KEEP, ge=1, description="Full backups that are kept, with those that build on them."
    )
    session_ttl_hours: float = Field(
        default=SESSION_TTL_HOURS,
        ge=0,
        description="Hours without an edit and without an arrival after which a session room is erased; 0 is never.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default=LOG_LEVEL, description="The least severe messages to log."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: str) -> str:
        for each in networks(proxies):
            if not each.prefixlen:
                raise ValueError("a proxy must be named: whoever is trusted may pass for any address")
        return proxies
