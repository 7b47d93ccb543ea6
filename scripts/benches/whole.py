"""Every bench in turn, each in processes of its own: what fails takes none of the others with it."""

import os
import subprocess
import sys
from collections.abc import Sequence

QUICK = (
    ("issue", "--count", "10000", "--beside", "2000", "--stored", "200000"),
    ("message", "--count", "10000"),
    ("broker", "--count", "10000", "--devices", "100000", "--stored", "100000"),
    ("crl", "--entries", "1", "100000"),
    ("ocsp",),
    ("backup", "--count", "100000"),
)
"""In less than six minutes on two cores."""

FULL = (
    ("issue", "--count", "40000", "--beside", "10000", "--stored", "1000000", "10000000"),
    ("message", "--count", "20000"),
    ("broker", "--count", "20000", "--devices", "1000000", "--stored", "1000000"),
    ("crl", "--entries", "1", "100000", "1000000"),
    ("ocsp",),
    ("backup", "--count", "1000000"),
)
"""In some 25 minutes."""


def run(benches: Sequence[Sequence[str]], options: Sequence[str]) -> int:
    """The number of those that failed."""
    options = [*options, "--load", str(os.getloadavg()[0])]
    failed = 0
    for bench in benches:
        print(f"\n{' '.join(bench)}", file=sys.stderr, flush=True)
        failed += subprocess.run([sys.executable, "-m", "scripts.benches", *bench, *options]).returncode != 0
    return failed
