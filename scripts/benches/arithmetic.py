"""What the machine's arithmetic allows, all processes together, in the moment of the measurement."""

import os
import subprocess
import time
from pathlib import Path


def openssl_speed(algorithm: str, column: int, processes: int) -> float:
    """A rate of `openssl speed`: the column counts from the end of its last line."""
    command = ["openssl", "speed", "-elapsed", "-seconds", "2", "-multi", str(processes), algorithm]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(said.strip().splitlines()[-1].split()[column])


def verify_rate(processes: int) -> float:
    return openssl_speed("ecdsap256", -1, processes)


def compile_loop(folder: Path) -> Path:
    """The C loop that does nothing but sign."""
    program = folder / "sign"
    source = Path(__file__).with_name("sign.c")
    subprocess.run(["cc", "-O2", "-o", str(program), str(source), "-ldl"], check=True)
    return program


def sign_rate(loop: Path, home: Path, token: str, processes: int) -> float:
    """C_Sign of a token: every process on its own, at the same time."""
    return _token_rate([str(loop), module(), token, "30000"], home, token, processes)


def agreement_rate(loop: Path, home: Path, token: str, processes: int) -> float:
    """C_DeriveKey of a token with all that belongs to it."""
    return _token_rate([str(loop), module(), token, "10000", "agree"], home, token, processes)


def _token_rate(command: list[str], home: Path, token: str, processes: int) -> float:
    environment = {
        "PIN": (home / "pins" / token).read_text().strip(),
        "SOFTHSM2_CONF": str(home / "softhsm2.conf"),
    }
    running = []
    for _ in range(processes):
        running.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        time.sleep(0.05)  # SoftHSM loses a token to whoever starts while another logs in
    return sum(float(process.communicate()[0]) for process in running)


def module() -> str:
    found = [*Path("/usr/lib").glob("softhsm/libsofthsm2.so"), *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so")]
    return str(found[0])


def without_bytecode_switch(folder: Path) -> dict[str, str]:
    """The environment, with compiled modules kept as they are where smki is installed."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
