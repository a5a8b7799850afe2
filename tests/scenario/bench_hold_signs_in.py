"""`bench hold --token-secret` brings clients that a gateway lets in which asks for tokens, and says what was wrong otherwise."""

import json

from server import roost
from tokens import secret_file


def hold(server, *options):
    return roost("bench", "hold", "-n", "40", "--hold", "1", "--json", "--url", f"tcp://127.0.0.1:{server.address[1]}",
                 "--server-pid", str(server.pid), *options)


def test_with_the_secret_and_without(serve, tmp_path):
    secret = secret_file(tmp_path)
    server = serve("--shards", "2", "--token-secret-file", secret, "--anonymous", "never")
    held = hold(server, "--token-secret", secret)
    assert held.returncode == 0, held.stderr
    figures = json.loads(held.stdout)
    assert (figures["connected"], figures["held"], figures["lost"]) == (40, 40, 0)
    server.wait_counter("connections_signed_in", 40)
    refused = hold(server)
    assert refused.returncode == 1
    server.wait_counter("end_credentials_missing", 40)


def test_file_that_is_not_there(serve, tmp_path):
    ended = hold(serve(), "--token-secret", str(tmp_path / "none"))
    assert ended.returncode == 1 and str(tmp_path / "none") in ended.stderr
