"""`python -m tests.simulator --seeds 1-1000`: run seeds, and show what is wrong with those that fail."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulator.parameters import Parameters, derive
from tests.simulator.shrink import shrink
from tests.simulator.world import Outcome, run


def main() -> int:
    options = parse(sys.argv[1:])
    seeds = range(options.seeds[0], options.seeds[1] + 1)
    print(f"seeds {seeds[0]}-{seeds[-1]}", flush=True)
    began = time.monotonic()
    failures: list[Outcome] = []
    acked = steps = done = 0
    for outcome in outcomes(seeds, options):
        done += 1
        acked += outcome.acked
        steps += outcome.steps
        if outcome.problem:
            failures.append(outcome)
            print(f"seed {outcome.seed}: {outcome.problem}", flush=True)
        if options.digests:
            print(f"seed {outcome.seed} digest {outcome.digest}")
    took_s = time.monotonic() - began
    print(f"{done} seeds in {took_s:.1f} s, {acked} acknowledged writes, {steps} events, {len(failures)} failed")
    if failures and options.explain:
        explain(failures[0].seed, options)
    return 1 if failures else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=seed_range, default=(1, 100), help="one seed, or the first and the last: 1-100")
    parser.add_argument("--shards", type=int, help="instead of what the seed says")
    parser.add_argument("--replicas", type=int, help="per shard, instead of what the seed says")
    parser.add_argument("--node-timeout-ms", type=int, help="instead of what the seed says")
    parser.add_argument("--faults", type=int, help="how many, instead of what the seed says")
    parser.add_argument("--overloaded", type=int, help="1: processes stutter, 0: not; instead of what the seed says")
    parser.add_argument("--overlapping", type=int, help="1: partitions overlap, 0: not; instead of what the seed says")
    parser.add_argument("--jobs", type=int, default=2, help="processes to use (default: 2)")
    parser.add_argument("--digests", action="store_true", help="print the hash of each run's trace")
    parser.add_argument("--explain", action="store_true", help="tell the story of the first seed that fails")
    parser.add_argument("--story", action="store_true", help="tell the story of every seed")
    return parser.parse_args(arguments)


def seed_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def parameters_of(seed: int, options: argparse.Namespace) -> Parameters:
    return derive(
        seed,
        options.shards,
        options.replicas,
        options.node_timeout_ms,
        options.faults,
        options.overloaded,
        options.overlapping,
    )


def run_one(seed: int, options: argparse.Namespace) -> Outcome:
    return run(parameters_of(seed, options))


def outcomes(seeds: range, options: argparse.Namespace) -> Iterator[Outcome]:
    if options.story:
        for seed in seeds:
            print(f"seed {seed}: {parameters_of(seed, options)}")
            yield run(parameters_of(seed, options), print)
    elif options.jobs < 2 or len(seeds) < 2:
        yield from map(partial(run_one, options=options), seeds)
    else:
        with ProcessPoolExecutor(options.jobs) as pool:
            yield from pool.map(partial(run_one, options=options), seeds, chunksize=4)


def explain(seed: int, options: argparse.Namespace) -> None:
    """Find the fewest faults with which the seed still fails the same way, and tell that story."""
    parameters = parameters_of(seed, options)
    plan = shrink(parameters)
    print(f"\nseed {seed}: {parameters}")
    run(parameters, print, plan)


if __name__ == "__main__":
    sys.exit(main())
