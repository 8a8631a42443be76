"""What is fuzzed by hand takes its own seeds, and what they become when bytes are missing."""

import pytest

from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_fuzz_targets_take_their_seeds(name: str) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    assert seeds
    for seed in seeds:
        target.run(seed)
        target.run(seed[: len(seed) // 2])
