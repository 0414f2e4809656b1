"""`python -m tests.simulator.outages --fault frozen --seeds 1-100`: the distribution; `--story` tells each run."""

from __future__ import annotations

import argparse
import sys

from tests.simulator.__main__ import seed_range
from tests.simulator.outages import FAULTS, LIMITS_MS, outage_ms


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.outages", description=__doc__)
    parser.add_argument("--fault", choices=FAULTS, default="frozen")
    parser.add_argument("--seeds", type=seed_range, default=(1, 100))
    parser.add_argument("--overloaded", action="store_true", help="all processes stall now and then")
    parser.add_argument("--story", action="store_true", help="tell what happens")
    options = parser.parse_args()
    limit_ms = LIMITS_MS[options.fault, options.overloaded]
    first, last = options.seeds
    tell = print if options.story else None
    took = sorted((outage_ms(seed, options.fault, options.overloaded, tell), seed) for seed in range(first, last + 1))
    for name, part in (("median", 0.5), ("p90", 0.9), ("p99", 0.99), ("longest", 1)):
        ms, seed = took[min(int(len(took) * part), len(took) - 1)]
        print(f"{name} {ms} ms (seed {seed})")
    beyond = [seed for ms, seed in took if ms > limit_ms]
    print(f"{len(beyond)} of {len(took)} took longer than {limit_ms} ms{': ' if beyond else ''}{beyond or ''}")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
