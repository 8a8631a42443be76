"""What a notebook does, cell by cell: no event loop, and nothing to await.

Start a server with ``scripts/serve``, then this program, or paste the cells into a notebook.
"""

import sys

import comity
from comity import Change, Counter, Log, Map, Register, State

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765"

# %% What the analysts share


class Survey(State):
    question: Register[str]
    samples: Map[float]
    measured: Counter
    remarks: Log[str]


# %% Open it; it stays open until the last cell

client = comity.connect_sync(ADDRESS, agent="analyst")
survey = client.shared("reef-survey", Survey)
survey.synced(timeout=10)

# %% Edit it, typed or by key

survey.state.question.set("How warm is the lagoon?")
survey["samples.north"] = 27.5
with survey.transaction():
    survey.state.samples["south"] = 28.25
    survey.state.measured.add(2)
survey.durable(timeout=10)
print(dict(survey.items()))

# %% Hear what others do; the callback may take its time


def remark(change: Change) -> None:
    survey.state.remarks.append(f"{change.author} measured {change.new} at {change.key}")


stop = survey.subscribe(remark, name="samples.*", author="diver")

# %% Somebody else measures

with comity.connect_sync(ADDRESS, agent="diver") as other, other.shared("reef-survey", Survey) as theirs:
    changes = survey.changes(timeout=10)
    theirs.state.samples["east"] = 27.0
    theirs.durable(timeout=10)
    print(next(change.new for change in changes if change.field == "remarks"))
stop()


# %% Many reads and edits in one call


def mean(state: Survey) -> float:
    return sum(state.samples.values()) / len(state.samples)


print(f"{survey.run(mean):.2f} degrees on average")

# %% Look back

with survey.history(timeout=10) as history:
    for version in history.versions():
        print(version.number, version.author, version.size, "bytes")

# %% The last cell

client.close()
