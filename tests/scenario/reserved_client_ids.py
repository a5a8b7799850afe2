"""Client ids that begin with `$roost/` are Roost's own: who had one would get what waits for a rule."""

import pytest

from mqtt_wire import connect
from tokens import password_line, private_file, secret_file, token

NOT_VALID = {4: 2, 5: 0x85}


def refused(server, version, *args, **kwargs):
    with server.raw(version) as connection:
        connection.send(connect(*args, **kwargs))
        connection.expect_connack_refusal(NOT_VALID[version])


def test_in_connect(server, version):
    for client_id in ("$roost/", "$roost/rule/a"):
        refused(server, version, client_id, version)
    server.wait_counter("end_client_id_reserved", 2)
    for client_id in ("$roost", "$Roost/rule/a", "x$roost/"):
        with server.client(client_id, version):
            pass


@pytest.mark.parametrize("pattern", ["%u", "%u-*"])
def test_made_from_a_user(serve, version, tmp_path, pattern):
    """An id that the server assigns by the user's name, or that a token names."""
    passwords = private_file(tmp_path / "passwords", password_line("$roost/rule/a", "a"))
    server = serve("--password-file", passwords, "--token-secret-file", secret_file(tmp_path),
                   "--client-id-pattern", pattern)
    refused(server, version, "", version, user="$roost/rule/a", password="a")
    refused(server, version, "", version, user="", password=token(sub="x", client_id="$roost/rule/a"))
    server.wait_counter("end_client_id_reserved", 2)
