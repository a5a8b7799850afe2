"""What a configuration file says is done; what the command line says goes before it."""

from mqtt_wire import MAXIMUM_PACKET_SIZE

FILE = """\
# Comments are welcome.
listen:
  - tcp://127.0.0.1:0
  - tcp://[::1]:0
gates: 1
shards: 3
connections: 500
log_level: info
connect_timeout_ms: 250
packet_bytes_max: 6000
queue_bytes_max: 32768
stuck_timeout_ms: 5000
drain_ms: 2000
"""


def test_file_is_read(serve, tmp_path):
    file = tmp_path / "roost.yaml"
    file.write_text(FILE)
    server = serve("--config", str(file), listen=[], log_level=None)
    assert len(server.ports) == 2
    with server.client("a", 5) as client, server.raw() as silent:
        assert client.connack.properties[MAXIMUM_PACKET_SIZE] == 6000
        silent.expect_close()
    server.wait_counter("end_connect_timeout", 1)


def test_command_line_goes_before(serve, tmp_path):
    file = tmp_path / "roost.yaml"
    file.write_text(FILE)
    server = serve("--config", str(file), "--packet-bytes-max", "7000")
    assert len(server.ports) == 1
    with server.client("a", 5) as client:
        assert client.connack.properties[MAXIMUM_PACKET_SIZE] == 7000
