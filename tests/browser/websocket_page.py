"""Pages in a real browser that speak MQTT to the gateway: MQTT.js over ws and wss, and bare WebSockets for what MQTT.js would
not do. The certificate is trusted by its key, named to the browser, and no other is."""

import base64
import hashlib
import http.server
import re
import shutil
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

import certificates

TIMEOUT_S = 20
MQTT_JS = Path(__file__).resolve().parent.parent / "interop/node_modules/mqtt/dist/mqtt.min.js"
LISTENERS = ("ws://127.0.0.1:0/mqtt", "wss://127.0.0.1:0/mqtt")

PAGE = """<!DOCTYPE html><meta charset="utf-8"><title>MQTT</title><link rel="icon" href="data:,"><script src="mqtt.js"></script><script>
const clients = {}
function later (what, begin) {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('never: ' + what)), 15000)
    begin(resolve, reject)
  })
}
// Messages, and how its WebSockets ended, are kept as they come.
function open (id, url, version, more) {
  return later('connect', (resolve, reject) => {
    const client = mqtt.connect(url, { clientId: id, protocolVersion: version, reconnectPeriod: 50, ...more })
    Object.assign(client, { arrived: [], ends: [], connects: 0 })
    client.on('message', (topic, payload) => { client.arrived.push([topic, payload]); client.emit('arrival') })
    client.on('connect', () => { client.connects++; resolve(client.stream.socket.protocol + client.stream.socket.extensions) })
    client.stream.socket.addEventListener('close', (event) => { client.ends.push([event.code, event.wasClean]); client.emit('ended') })
    client.on('error', reject)
    clients[id] = client
  })
}
async function message (id) {
  const client = clients[id]
  while (client.arrived.length === 0) await later('message', (resolve) => client.once('arrival', resolve))
  return client.arrived.shift()
}
async function end_of (id) {
  const client = clients[id]
  while (client.ends.length === 0) await later('end', (resolve) => client.once('ended', resolve))
  return client.ends.shift()
}
// A WebSocket without MQTT. Resolves with how it ended; heard: what came.
function bare (url, protocols, begin) {
  return later('close', (resolve) => {
    const socket = new WebSocket(url, protocols)
    const heard = []
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => begin(socket)
    socket.onmessage = (event) => { heard.push(Array.from(new Uint8Array(event.data))); begin(socket, event.data) }
    socket.onclose = (event) => resolve({ code: event.code, clean: event.wasClean, heard })
  })
}
</script>"""


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/": ("text/html; charset=utf-8", PAGE.encode()), "/mqtt.js": ("text/javascript", MQTT_JS.read_bytes())}
        kind, body = known.get(self.path, ("text/plain", b""))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    """A web server's origin."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def key_hash(identity):
    spki = identity.certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                     f"--ignore-certificate-errors-spki-list={key_hash(certificates.server())}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_script_timeout(TIMEOUT_S)
    yield driver
    driver.quit()


class Page:
    def __init__(self, driver, url):
        self.driver = driver
        driver.get(url)
        assert driver.title == "MQTT"

    def run(self, body, *arguments):
        """What the body of an asynchronous function returns; `a` has the arguments."""
        result = self.driver.execute_async_script(
            f"const a = arguments, done = a[a.length - 1]; (async () => {{ {body} }})()"
            ".then((value) => done({ value }), (error) => done({ error: String(error) }))", *arguments)
        assert "error" not in result, result["error"]
        return result["value"]

    def open(self, client_id, url, version=5, **more):
        return self.run("return await open(a[0], a[1], a[2], a[3])", client_id, url, version, more)

    def bare(self, url, begin, protocols=("mqtt",)):
        """begin: what happens when it is open, and when something comes (`data`)."""
        return self.run(f"return await bare(a[0], a[1], (socket, data) => {{ {begin} }})", url, list(protocols))


@pytest.fixture
def page(chromium, site):
    page = Page(chromium, site + "/")
    yield page
    page.run("await Promise.all(Object.values(clients).map((client) => client.endAsync(true)))")


@pytest.fixture(params=["ws", "wss"])
def scheme(request):
    return request.param


def gateway(serve, *options):
    return serve("--shards", "2", "--admin", "http://127.0.0.1:0", *options, listen=LISTENERS)


def url_of(server, scheme):
    return next(url for url in server.urls if url.startswith(scheme + "://"))


def test_messages_go_both_ways(page, serve, scheme, version):
    server = gateway(serve)
    # The subprotocol, and no extension: nothing is compressed.
    assert page.open("page", url_of(server, scheme), version) == "mqtt"
    page.run("await clients.page.subscribeAsync('to/page', { qos: 1 })")
    with server.client("other", version, to=server.over(scheme)) as other:
        other.subscribe("from/page")
        other.publish("to/page", b"hello")
        assert page.run("const [topic, payload] = await message('page'); return [topic, payload.toString()]") == ["to/page", "hello"]
        for qos in (0, 1, 2):
            page.run("await clients.page.publishAsync('from/page', 'back', { qos: a[0] })", qos)
            assert other.message().payload == b"back"
    page.run("await clients.page.endAsync()")
    assert page.run("return await end_of('page')")[1]
    server.wait_counter("end_closed_by_client", 1)


def test_many_at_once_stay_in_order(page, serve, scheme):
    server = gateway(serve)
    page.open("page", url_of(server, scheme))
    page.run("await clients.page.subscribeAsync('t', { qos: 1 })")
    page.run("for (let n = 0; n < 2000; n++) clients.page.publish('t', String(n), { qos: n % 2 })")
    assert page.run("""
        for (const qos of [0, 1]) {
          const all = []
          while (all.length < 1000) {
            const found = clients.page.arrived.findIndex(([, payload]) => Number(payload.toString()) % 2 === qos)
            if (found === -1) await later('message', (resolve) => clients.page.once('arrival', resolve))
            else all.push(Number(clients.page.arrived.splice(found, 1)[0][1].toString()))
          }
          if (all.some((n, i) => n !== 2 * i + qos)) return all
        }
        return 'in order'""") == "in order"


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 900000])
def test_large_messages(page, serve, scheme, size):
    server = gateway(serve)
    page.open("page", url_of(server, scheme))
    page.run("await clients.page.subscribeAsync('t')")
    page.run("""
        const bytes = new Uint8Array(a[0])
        for (let i = 0; i < bytes.length; i++) bytes[i] = i * 31 + (i >> 8)
        for (let n = 0; n < 3; n++) clients.page.publish('t', bytes)""", size)
    for _ in range(3):
        assert page.run("""
            const [, payload] = await message('page')
            return payload.length === a[0] && payload.every((byte, i) => byte === (i * 31 + (i >> 8)) % 256)""", size)


def test_reconnects_after_its_connection_was_ended(page, serve, scheme):
    server = gateway(serve)
    page.open("page", url_of(server, scheme), 5, clean=False, properties={"sessionExpiryInterval": 100})
    page.run("await clients.page.subscribeAsync('t', { qos: 1 })")
    admin = server.admin()
    assert admin.post(admin.client_path("page", "/disconnect")).status in (200, 202, 204)
    # A Close frame, and its answer: nothing was cut.
    assert page.run("return await end_of('page')") == [1000, True]
    page.run("while (clients.page.connects < 2) await later('connect', (resolve) => clients.page.once('connect', resolve))")
    with server.client("other", 5, to=server.over(scheme)) as other:
        other.publish("t", b"again", qos=1)
        assert page.run("return (await message('page'))[1].toString()") == "again"


def test_server_that_stops_is_going_away(page, serve, scheme):
    server = gateway(serve)
    page.open("page", url_of(server, scheme), 5, reconnectPeriod=0)
    server.stop()
    assert page.run("return await end_of('page')") == [1001, True]


def test_page_of_another_origin(page, serve, site, scheme):
    server = gateway(serve, "--websocket-origin", "https://example.org")
    ended = page.bare(url_of(server, scheme), "")
    assert ended == {"code": 1006, "clean": False, "heard": []}
    server.wait_line("origin that is not allowed")
    server.wait_counter("end_ws_origin", 1)


def test_page_of_an_origin_that_is_allowed(page, serve, site, scheme):
    server = gateway(serve, "--websocket-origin", "https://example.org", "--websocket-origin", site)
    assert page.open("page", url_of(server, scheme)) == "mqtt"


def test_certificate_that_is_not_trusted(page, serve):
    server = gateway(serve, *certificates.server_options(certificates.authority().server(private_key=certificates.key(number=7))))
    assert page.bare(url_of(server, "wss"), "")["code"] == 1006
    server.wait_line("does not accept the certificate|ended TLS with a fatal alert")


def test_text_is_refused(page, serve, scheme):
    server = gateway(serve)
    assert page.bare(url_of(server, scheme), "socket.send('text')") == {"code": 1003, "clean": True, "heard": []}
    server.wait_counter("end_ws_text", 1)


def test_page_that_closes(page, serve, scheme):
    """With codes of its own: they come back. CONNECT comes byte by byte."""
    server = gateway(serve)
    connect = "[0x10, 14, 0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, 2, 112, 49]"
    begin = f"data ? socket.close(4321, 'bye') : {connect}.forEach((byte) => socket.send(new Uint8Array([byte])))"
    assert page.bare(url_of(server, scheme), begin) == {"code": 4321, "clean": True, "heard": [[32, 2, 0, 0]]}
    assert page.bare(url_of(server, scheme), "socket.close()") == {"code": 1005, "clean": True, "heard": []}


def test_subprotocols(page, serve, scheme):
    server = gateway(serve)
    for offered, chosen in ((["mqttv3.1"], "mqttv3.1"), (["mqttv3.1", "mqtt"], "mqtt"), (["chat", "mqtt"], "mqtt")):
        assert page.run("""
            return await later('open', (resolve, reject) => {
              const socket = new WebSocket(a[0], a[1])
              socket.onopen = () => { resolve(socket.protocol); socket.close() }
              socket.onerror = reject
            })""", url_of(server, scheme), offered) == chosen
    assert page.bare(url_of(server, scheme), "", ["chat"])["code"] == 1006
    server.wait_counter("end_ws_protocol", 1)


def test_the_page_of_the_quick_starts(chromium, serve, tmp_path):
    """Opened as a file beside node_modules, as docs/START.md has it: it shows what comes once it has subscribed."""
    start = (Path(__file__).resolve().parents[2] / "docs" / "START.md").read_text()
    (text,) = re.findall(r"```html\n(.*?)```", start, re.DOTALL)
    server = serve("--shards", "2", listen=["tcp://127.0.0.1:0", "ws://127.0.0.1:0/mqtt"])
    script = tmp_path / "node_modules/mqtt/dist/mqtt.min.js"
    script.parent.mkdir(parents=True)
    shutil.copy(MQTT_JS, script)
    assert "ws://127.0.0.1:8083/mqtt" in text
    (tmp_path / "page.html").write_text(text.replace("ws://127.0.0.1:8083/mqtt", url_of(server, "ws")))
    chromium.get((tmp_path / "page.html").as_uri())
    server.wait_counter("subscriptions_open", 1)
    with server.client("thermometer-1") as thermometer:
        thermometer.hand_over("home/kitchen/temperature", b"21.5")
    WebDriverWait(chromium, TIMEOUT_S).until(
        lambda driver: driver.find_element("id", "log").get_attribute("textContent") == "home/kitchen/temperature: 21.5\n")
    chromium.get("about:blank")
    server.wait_counter("connections_open", 0)
