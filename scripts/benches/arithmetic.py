"""What the machine's arithmetic allows, all processes together, in the moment of the measurement."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_BRIEF = 30  # times fewer


@dataclass(frozen=True)
class Arithmetic:
    """Loops in C and in OpenSSL, so many processes at a time."""

    folder: Path
    """For the loops' programs."""
    processes: int = 1
    brief: bool = False
    """For a test: figures that mean nothing, soon."""

    def verify(self) -> float:
        return self._openssl_speed("ecdsap256")

    def agree_in_software(self) -> float:
        return self._openssl_speed("ecdhp256")

    def sign(self, home: Path, token: str) -> float:
        """C_Sign of a token."""
        return self._token_rate(home, token, 30_000)

    def agree(self, home: Path, token: str) -> float:
        """C_DeriveKey of a token with all that belongs to it."""
        return self._token_rate(home, token, 10_000, "agree")

    def mac(self, octets: int) -> float:
        """One SHA-256 and one AES-128-GMAC over so many octets."""
        program = self._program("mac", "-l:libcrypto.so.3")
        return self._together([program, str(octets), str(self._times(1_000_000))], {})

    def _openssl_speed(self, algorithm: str) -> float:
        command = ["openssl", "speed", "-elapsed", "-seconds", "1" if self.brief else "2"]
        command += ["-multi", str(self.processes), algorithm]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return float(said.strip().splitlines()[-1].split()[-1])

    def _token_rate(self, home: Path, token: str, times: int, *what: str) -> float:
        environment = {
            "PIN": (home / "pins" / token).read_text().strip(),
            "SOFTHSM2_CONF": str(home / "softhsm2.conf"),
        }
        program = self._program("sign", "-ldl")
        return self._together([program, module(), token, str(self._times(times)), *what], environment)

    def _times(self, times: int) -> int:
        return times // _BRIEF if self.brief else times

    def _program(self, name: str, library: str) -> str:
        """A loop in C that does nothing else."""
        program = self.folder / name
        if not program.exists():
            subprocess.run(["cc", "-O2", "-o", program, _HERE / f"{name}.c", library], check=True)
        return str(program)

    def _together(self, command: list[str], environment: dict[str, str]) -> float:
        """Every process on its own, at the same time: all begin when the last of them is ready.

        They get ready one after another, as SoftHSM loses a token to whoever starts while another logs in.
        """
        running = [_ready(command, environment) for _ in range(self.processes)]
        for process in running:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        return sum(float(process.communicate()[0]) for process in running)


def _ready(command: list[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"{command[0]}: {process.communicate()[1].strip()}")
    return process


def module() -> str:
    found = [*Path("/usr/lib").glob("softhsm/libsofthsm2.so"), *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so")]
    return str(found[0])


def without_bytecode_switch(folder: Path) -> dict[str, str]:
    """The environment, with compiled modules kept as they are where smki is installed."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
