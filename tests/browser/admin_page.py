"""The page of the admin side in a real browser: figures appear and move, clients are found, looked at, disconnected, and
whatever they call themselves is text.

    ROOST_SCREENSHOTS=docs pytest tests/browser      also takes the pictures that docs/ shows
"""

import os
import re
import select
import threading
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import certificates
from mqtt_wire import DISCONNECT

TIMEOUT_S = 20
HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"
SCREENSHOTS = os.environ.get("ROOST_SCREENSHOTS")


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1400,1100"):
        options.add_argument(argument)
    options.set_capability("acceptInsecureCerts", True)  # the tests' authority is nobody's
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    yield driver
    driver.quit()


class Page:
    def __init__(self, driver, url):
        self.driver, self.url = driver, url.rstrip("/")
        driver.get(url)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.find(selector).text

    def wait(self, reached, what, timeout=TIMEOUT_S):
        WebDriverWait(self.driver, timeout, 0.1).until(lambda _: reached(), what)

    def wait_text(self, selector, pattern):
        self.wait(lambda: re.search(pattern, self.text(selector)), f"{selector} never was {pattern}")

    def search(self, prefix, state="all"):
        box = self.find("#prefix")
        box.clear()
        box.send_keys(prefix)
        self.find(f"#of-state option[value={state}]").click()
        box.send_keys(Keys.ENTER)
        self.wait(lambda: self.text("#message") not in ("", "looking"), "the search never ended")
        return [row.text for row in self.all("#found .id")]

    def complaints(self):
        """Of this page: the one before it may have asked once more after its server had ended."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE" and (self.url in entry["message"] or "http" not in entry["message"])]


@pytest.fixture
def page(chromium, administered):
    chromium.get_log("browser")
    page = Page(chromium, administered.admin().url)
    page.wait_text("#state", "^\\W*serving$")
    yield page
    assert page.complaints() == []


def test_figures_appear_and_move(page, administered):
    page.wait_text("#connected", "^0$")
    with administered.client("one") as one, administered.client("two", 5) as two:
        one.subscribe("t")
        page.wait_text("#connected", "^2$")
        for _ in range(50):
            two.publish("t", b"x")
            one.message()
        page.wait_text("#latency", r"^\d.*(µs|ms)$")
        page.wait_text("#memory", r"^\d.*B$")
        page.wait_text("#about", "version .* up for .* 1 subscriptions")
        page.wait_text("#grades", r"^active\s+2\s+quiet\s+0\s+suspect\s+0$")
        assert len(page.all("#shards tr")) == 2
        page.wait(lambda: sum(int(row.find_elements(By.TAG_NAME, "td")[1].text) for row in page.all("#shards tr")) == 2, "clients by shard")
        page.wait(lambda: len(page.find("#plot-clients path.one").get_attribute("d")) > 20, "no line in the plot")
    page.wait_text("#connected", "^0$")
    page.wait_text("#ends", "connection lost")


def test_over_tls(chromium, serve):
    """Figures and what changes something: the page's origin is https:// then."""
    shown = certificates.server()
    server = serve("--admin", "https://127.0.0.1:0", "--admin-tls-certificate", shown.chain, "--admin-tls-key", shown.key)
    chromium.get_log("browser")
    page = Page(chromium, server.admin().url)
    page.wait_text("#state", "^\\W*serving$")
    with server.client("sensor-1", 5) as client:
        page.wait_text("#connected", "^1$")
        assert page.search("sensor-") == ["sensor-1"]
        page.find("#found .id").click()
        page.wait_text("#detail-id", "^sensor-1$")
        page.find("#disconnect").click()
        client.expect_kind(DISCONNECT)
    assert page.complaints() == []


def test_client_is_found_looked_at_and_disconnected(page, administered):
    with administered.client("sensor-1", 5) as client, administered.client("other"):
        client.subscribe("a/+")
        assert page.search("sensor-") == ["sensor-1"]
        assert sorted(page.search("")) == ["other", "sensor-1"]
        page.search("sensor-")
        page.find("#found .id").click()
        page.wait_text("#detail-id", "^sensor-1$")
        detail = page.text("#detail-list")
        assert "connected" in detail and "active" in detail and "MQTT 5.0" in detail and "127.0.0.1:" in detail and "a/+" in detail
        page.find("#disconnect").click()
        page.wait_text("#detail-message", "ended")
        assert client.expect_kind(DISCONNECT).reason == 0x98
    page.find("#close").click()


def test_session_is_ended(page, administered):
    administered.session("kept", 5).close()
    administered.wait_counter("sessions_offline", 1)
    assert page.search("", "connected") == []
    assert page.search("", "offline") == ["kept"]
    page.find("#found .id").click()
    page.wait_text("#detail-list", "offline")
    assert not page.find("#disconnect").is_enabled()
    page.find("#end-session").click()
    page.wait_text("#detail-message", "ended")
    page.find("#close").click()
    assert administered.counter("sessions_offline") == 0


def test_client_ids_are_text(page, administered):
    with administered.client(HOSTILE) as client:
        client.subscribe("<b>bold</b>")
        assert page.search("<img") == [HOSTILE]
        page.find("#found .id").click()
        page.wait(lambda: page.text("#detail-id") == HOSTILE, "its name")
        assert "<b>bold</b>" in page.text("#detail-list")
        assert page.driver.title == "Roost"
        assert not page.all("#found img, #found script, #detail img, #detail script, #detail b")
    page.find("#close").click()


def test_more_than_one_page_of_clients(page, administered):
    clients = [administered.client(f"many-{number:03}") for number in range(70)]
    assert len(page.search("many-")) == 50
    page.find("#more").click()
    page.wait(lambda: len(page.all("#found .id")) == 70, "the rest")
    for client in clients:
        client.close()


def test_token_is_asked_for(chromium, serve, tmp_path):
    (tmp_path / "token").write_text("a-token-that-is-long-enough")
    server = serve("--shards", "2", "--admin", "http://127.0.0.1:0", "--admin-token-file", str(tmp_path / "token"))
    page = Page(chromium, server.admin().url)
    page.wait_text("#state", "token is needed")
    page.find("#token").send_keys("wrong", Keys.ENTER)
    page.wait_text("#sign-in-message", "wrong")
    page.find("#token").send_keys("a-token-that-is-long-enough", Keys.ENTER)
    page.wait_text("#state", "serving")
    page.wait_text("#connected", "^0$")
    chromium.execute_script("sessionStorage.clear()")
    chromium.get_log("browser")


def test_nothing_sticks_out_on_a_phone(page):
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
    try:
        page.driver.refresh()
        page.wait_text("#connected", "^0$")
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


VIEWS = {"admin-page": (1400, 1150, 1, "light"), "admin-page-dark": (1400, 1150, 1, "dark"), "admin-page-phone": (390, 844, 2, "light"),
         "admin-page-wall": (3000, 1500, 1, "dark")}


@pytest.mark.skipif(not SCREENSHOTS, reason="pictures are taken on request: ROOST_SCREENSHOTS=docs")
@pytest.mark.parametrize("name", VIEWS)
def test_screenshot(chromium, page, administered, name):
    """With some life in it: clients that talk for half a minute."""
    width, height, scale, scheme = VIEWS[name]
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    chromium.refresh()
    clients = [administered.client(f"sensor-{number:03}", 5) for number in range(120)]
    for number, client in enumerate(clients[:10]):
        client.subscribe(f"rooms/{number}/#")
    ended = threading.Event()

    def talk():
        turn = 0
        while not ended.wait(0.02):
            turn += 1
            for client in clients[turn % 40 + 20:turn % 40 + 21 + turn % 7]:
                client.publish(f"rooms/{turn % 10}/temperature", b"21.5")
            for reader in select.select([client.socket for client in clients[:10]], [], [], 0)[0]:
                reader.recv(1 << 16)
    talker = threading.Thread(target=talk)
    talker.start()
    for client in clients[100:115]:
        client.disconnect()
    page.search("sensor-01")
    page.wait(lambda: page.driver.execute_script("return samples.length") >= 18, "samples", timeout=90)
    chromium.save_screenshot(str(Path(SCREENSHOTS, f"{name}.png")))
    ended.set()
    talker.join()
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    for client in clients:
        client.close()
