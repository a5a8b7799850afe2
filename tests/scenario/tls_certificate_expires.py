"""A certificate that ends soon is warned of, in the log once a day and in metrics always; and again when it has ended."""

import datetime
from pathlib import Path

import pytest

import certificates
from fake_clock import FakeClock

pytestmark = [pytest.mark.roost_only("it logs as Roost does"), pytest.mark.transports("tls")]

DAY_S = 86400
WARNING = r"warning .*the certificate of CN=soon.example.org expires in"
ERROR = r"error .*the certificate of CN=soon.example.org has expired"


@pytest.fixture
def soon():
    """Good for 20 of 90 days."""
    return certificates.authority().server("soon.example.org", "localhost", begins=-70 * certificates.DAY, ends=20 * certificates.DAY)


def test_metric(serve, soon):
    server = serve(*certificates.server_options(soon), "--admin", "http://127.0.0.1:0")
    at = soon.certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()
    line = f'roost_tls_certificate_expires_timestamp_seconds{{kind="own",path="{soon.chain}",subject="CN=soon.example.org"}} '
    shown = next(text for text in server.admin().get("/metrics").text.splitlines() if text.startswith(line))
    assert float(shown.removeprefix(line)) == at
    told = server.admin().get("/api/v1/stats").json["tls"]["certificates"]
    assert [(one["kind"], one["path"], one["expires"]) for one in told] == [("own", soon.chain, at)]


def test_each_once_and_whatever_its_name(serve, soon, tmp_path):
    """Prometheus takes no sample twice, and no quote in a label as it is."""
    odd = tmp_path / 'an "odd" \\name.pem'
    odd.write_bytes(Path(soon.chain).read_bytes() + Path(soon.key).read_bytes())
    odd.chmod(0o600)
    server = serve("--listen", "tls://127.0.0.1:0", "--listen", "wss://127.0.0.1:0/mqtt", "--tls-certificate", str(odd),
                   "--admin", "http://127.0.0.1:0", listen=[])
    lines = [line for line in server.admin().get("/metrics").text.splitlines()
             if line.startswith("roost_tls_certificate_expires_timestamp_seconds{")]
    escaped = str(odd).replace("\\", "\\\\").replace('"', '\\"')
    assert [f'path="{escaped}"' in line for line in lines] == [True]


def test_log_at_each_load(serve, soon):
    """The daily look is tested where the clock is the test's (tests/unit/control)."""
    server = serve(*certificates.server_options(soon), "--admin", "http://127.0.0.1:0")
    server.wait_line(WARNING + " (19|20) days")
    before = len(server.lines)
    assert server.admin().post("/api/v1/reload").status == 200
    server.wait_line(WARNING, before)


def test_log_by_the_clock(serve, soon, tmp_path):
    """A wall clock that is ahead: no client is refused for it, and the log says what is wrong."""
    clock = FakeClock(tmp_path)
    clock.set(30 * DAY_S)
    server = serve(*certificates.server_options(soon), prefix=clock.prefix)
    server.wait_line(ERROR)
    server.client("comes in", 5).close()
