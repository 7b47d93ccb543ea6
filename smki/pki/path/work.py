"""How much work one verdict may cost. Whoever sends certificates chooses how many there are and how they cross."""

from smki.errors import Refused
from smki.pki.public_key import read_point
from smki.pki.signature import holds

# Figures are ours. A real verdict costs 2 or 3 signatures, with CRLs twice as many; the hardest case of the NIST
# path tests 14. One costs some 0.1 ms here and some 10 ms on a small device: the limit is a second there.
MAX_SIGNATURES = 100
MAX_INTERMEDIATES = 32  # a GBCS command carries one; a CA that changes its key a few times has half a dozen
MAX_PATHS = 64  # of which a real bag has one or two
MAX_STEPS = 1024  # certificates put on a path and taken off again
MAX_COMPARISONS = 20_000  # names times constraints, and policies: no real path has a hundred of any


class Work:
    """The counters of one verdict; what was verified once is not verified again."""

    def __init__(self) -> None:
        self._signatures: dict[tuple[bytes, bytes, bytes], bool] = {}
        self._comparisons = 0
        self._steps = 0
        self._paths = 0

    @property
    def signatures(self) -> int:
        return len(self._signatures)

    def is_signed(self, point: bytes, signature: bytes, signed: bytes) -> bool:
        """Whether the key with this point signed these octets."""
        asked = (point, signature, signed)
        if asked not in self._signatures:
            if len(self._signatures) >= MAX_SIGNATURES:
                raise _spent(f"more than {MAX_SIGNATURES} signatures to verify")
            key = read_point(point)
            self._signatures[asked] = key is not None and holds(signature, signed, key)
        return self._signatures[asked]

    def compare(self, count: int) -> None:
        self._comparisons += count
        if self._comparisons > MAX_COMPARISONS:
            raise _spent(f"more than {MAX_COMPARISONS} names to hold against constraints, or policies")

    def step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise _spent(f"more than {MAX_STEPS} steps to find a path")

    def judge_path(self) -> None:
        self._paths += 1
        if self._paths > MAX_PATHS:
            raise _spent(f"more than {MAX_PATHS} paths to judge")


def _spent(reason: str) -> Refused:
    return Refused("path.budget", f"the certificates ask for too much work: {reason}", "give only those of the path")
