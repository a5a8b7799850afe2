"""Who does not say CONNECT in time is closed, and nobody else. [section 3.1.4]"""

import pytest

from mqtt_wire import connect


@pytest.mark.parametrize("sent", [0, 1, 2, 8, 14])
def test_part_of_a_connect_and_silence(serve, sent):
    server = serve("--connect-timeout-ms", "300")
    with server.client("bystander", 5) as bystander, server.raw() as connection:
        connection.send(connect("half", 4)[:sent])
        connection.expect_close()
        bystander.expect_nothing_before_ping()
    server.wait_counter("end_connect_timeout", 1)


def test_a_byte_now_and_then_does_not_buy_time(serve):
    server = serve("--connect-timeout-ms", "300")
    with server.raw() as connection:
        connection.socket.settimeout(0.05)
        sent = 0
        data = connect("x" * 60, 4)
        while sent < len(data):
            connection.send(data[sent:sent + 1])
            sent += 1
            try:
                assert connection.socket.recv(1) == b""
                break
            except TimeoutError:  # 50 ms without a word from the server: the next byte
                pass
            except ConnectionResetError:
                break
        assert sent < 30
    server.wait_counter("end_connect_timeout", 1)
