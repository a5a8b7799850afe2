"""A relay between a WebSocket client and a gateway that cuts the client's frames anew, in ways that are allowed and unusual, and
both ways' bytes into pieces of any size. The upgrade goes through as it is."""

import asyncio
import contextlib
import random
import ssl
import threading
import urllib.parse

import certificates
from websocket_end import BINARY, CLOSE, CONTINUATION, PING, PONG, frame, mask_bytes

PIECE_BYTES_MAX = 3000
TIMEOUT_S = 20


def single_bytes(payload, rng):
    """Each byte in a frame of its own. The masks are zero: what they do is tested elsewhere."""
    del rng
    return b"".join(b"\x82\x81\0\0\0\0" + bytes([byte]) for byte in payload)


def fragments(payload, rng):
    """One message of very many fragments, some of them empty, with Pings and Pongs between them."""
    frames, opcode = [], BINARY
    at = 0
    while at < len(payload):
        size = rng.choice((0, 1, 2, 7, 125, 126, 1000)) if len(payload) < 5000 else rng.randrange(0, 2000)
        frames.append(frame(opcode, payload[at:at + size], final=False, mask=rng.randbytes(4)))
        opcode = CONTINUATION
        at += size
        if rng.randrange(4) == 0:
            frames.append(frame(rng.choice((PING, PONG)), rng.randbytes(rng.randrange(126)), mask=rng.randbytes(4)))
    return b"".join(frames) + frame(opcode, mask=rng.randbytes(4))


def odd_lengths(payload, rng):
    """Frames that end anywhere in a packet."""
    frames, at = [], 0
    while at < len(payload):
        size = rng.randrange(1, 400)
        frames.append(frame(BINARY, payload[at:at + size], mask=rng.randbytes(4)))
        at += size
    return b"".join(frames)


WAYS = {"single bytes": single_bytes, "fragments": fragments, "odd lengths": odd_lengths}


async def read_frame(reader):
    """(opcode, final, payload)"""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4)
    return first & 15, bool(first >> 7), mask_bytes(await reader.readexactly(size), mask)


class Relay:
    """Runs in a thread of its own, from `with` to its end; url is where clients come to."""

    def __init__(self, target, way, seed=1):
        self.target, self.way, self.rng = urllib.parse.urlsplit(target), WAYS[way], random.Random(seed)
        self.is_tls = self.target.scheme == "wss"
        self.relayed = 0  # frames of clients
        self.loop, self.tasks = asyncio.new_event_loop(), set()
        self.thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self):
        self.thread.start()
        self.server = self._in_loop(self._listen())
        self.url = f"{self.target.scheme}://127.0.0.1:{self.server.sockets[0].getsockname()[1]}{self.target.path}"
        return self

    def __exit__(self, *_):
        self._in_loop(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(TIMEOUT_S)
        self.loop.close()

    def _in_loop(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(TIMEOUT_S)

    async def _listen(self):
        context = None
        if self.is_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.server().chain, certificates.server().key)
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)

    async def _end(self):
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        context = ssl.create_default_context(cafile=certificates.authority().file) if self.is_tls else None
        try:
            below, to = await asyncio.open_connection(self.target.hostname, self.target.port, ssl=context)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._write(to, await reader.readuntil(b"\r\n\r\n"))
                answers = asyncio.ensure_future(self._copy(below, writer))
                self.tasks.add(answers)
                await self._reframe(reader, to)
                await answers
            to.close()
        finally:
            writer.close()
            self.tasks.discard(task)

    async def _write(self, writer, data):
        """Each piece is a segment, or a record, of its own."""
        at, most = 0, PIECE_BYTES_MAX if len(data) > 20000 else 60
        while at < len(data):
            size = self.rng.randrange(1, most)
            writer.write(data[at:at + size])
            await writer.drain()
            at += size

    async def _copy(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._write(writer, data)

    async def _reframe(self, reader, writer):
        """Until the client closes."""
        opcode = None
        while opcode != CLOSE:
            opcode, final, payload = await read_frame(reader)
            self.relayed += 1
            assert final, "the client cuts its messages by itself"
            data = self.way(payload, self.rng) if opcode == BINARY else frame(opcode, payload)
            await self._write(writer, data)
