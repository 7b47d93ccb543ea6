"""A browser on the desk: Chromium without a window, spoken to by W3C WebDriver, and a folder served to it."""

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing but the folder is ever asked for
)  # fmt: skip


def why_not() -> str:
    """Why there is no browser here; empty where there is one."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"this machine has no {' and no '.join(missing)} (scripts/setup --test installs them)" if missing else ""


class Browser:
    """One session."""

    def __init__(self, driver: str, profile: Path) -> None:
        self._driver = driver
        options = {"binary": shutil.which("chromium"), "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the driver we started
            self._driver + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def do(self, path: str, **body: Any) -> Any:
        return self._call("POST", self._session + path, body)

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.do("/goog/cdp/execute", cmd=command, params=parameters)

    def open(self, url: str) -> None:
        self.do("/url", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.do("/execute/sync", script=script, args=list(arguments))

    def complaints(self) -> list[str]:
        """What the page made the console say since it was last asked."""
        return [entry["message"] for entry in self.do("/se/log", type="browser")]

    def screen(self, width: int, height: int = 900, scheme: str = "light") -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self) -> bytes:
        """The whole page as PNG."""
        taken = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])

    def close(self) -> None:
        self._call("DELETE", self._session)


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser with nothing in it."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert driver.stdout is not None
        line = next(line for line in driver.stdout if "started successfully on port" in line)
        browser = Browser(f"http://127.0.0.1:{line.split()[-1].rstrip('.')}", profile)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        driver.terminate()
        driver.communicate()


class _Server(ThreadingHTTPServer):
    """Knows which paths it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        assert isinstance(self.server, _Server)
        self.server.asked.append(self.path)


@contextmanager
def serving(folder: Path) -> Iterator[_Server]:
    """The folder on a web server that knows nothing of us."""
    with _Server(folder) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
