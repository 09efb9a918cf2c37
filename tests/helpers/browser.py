"""Headless Chromium for tests of pages: without a network, or with access to this machine only."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NOWHERE = "127.0.0.1:9"  # nothing listens on this port: every request through it fails


class Browser:
    """One tab, emptied before each page. `requests` holds every address requested since."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def go(self, address: str, scripts: bool = True) -> None:
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get(address)

    def open(self, path: Path, fragment: str = "", scripts: bool = True) -> None:
        self.go(f"{path.resolve().as_uri()}#{fragment}", scripts)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: Any) -> Any:
        """Return what `script` returns, as soon as that is true."""
        return WebDriverWait(self.driver, 30, poll_frequency=0.02).until(lambda _: self.run(script, *arguments))

    def size(self, width: int, height: int = 900) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def media(self, scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    @property
    def requests(self) -> list[str]:
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [message for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]

    @property
    def complaints(self) -> list[str]:
        """Messages on the console since the last call: errors, and violations of the content policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a network. Skips if there is no Chromium; in CI that is a failure."""
    with start_browser() as driver:
        offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        yield Browser(driver)


@pytest.fixture(scope="module")
def local_browser() -> Iterator[Browser]:
    """A browser that reaches this machine only: Chromium uses no proxy for loopback."""
    with start_browser() as driver:
        yield Browser(driver)


@contextlib.contextmanager
def start_browser() -> Iterator[webdriver.Chrome]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    driver = shutil.which("chromedriver")
    if not program or not driver:
        reason = "needs Chromium and chromedriver; type: make browser"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    options = Options()
    options.binary_location = str(program)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in (
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--lang=en-US",
        f"--proxy-server={NOWHERE}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium does not start as root with it
    ):
        options.add_argument(argument)
    running = webdriver.Chrome(options=options, service=Service(str(driver)))
    try:
        running.execute_cdp_cmd("Network.enable", {})
        yield running
    finally:
        running.quit()
