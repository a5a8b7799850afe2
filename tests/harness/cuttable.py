"""TCP connections that a test may cut, hold or slow, each direction by itself: what lies between two machines."""

import contextlib
import heapq
import selectors
import socket
import threading
import time

PIECE_BYTES = 1 << 16
# What is kept for an end that does not read, before the other end is not read either.
KEPT_BYTES_MAX = 1 << 20
OPEN, HELD = "open", "held"
FORTH, BACK = 0, 1


class Wire:
    """One way from a port of its own to another port. It keeps what both ends are told apart by nothing but time: bytes that are
    held come later, as they would by TCP over a link that lost its packets; a wire that is cut breaks its connections, too."""

    def __init__(self, wires, port, target):
        self.wires, self.port, self.target = wires, port, target
        self.modes, self.delay_s, self.is_cut = [OPEN, OPEN], [0.0, 0.0], False
        self.listener = socket.create_server(("127.0.0.1", port), backlog=16)
        self.listener.setblocking(False)
        self.pairs = set()

    def hold(self, *directions):
        """Nothing passes in these directions; neither end is told."""
        self.wires.do(lambda: self._set(modes={direction: HELD for direction in directions or (FORTH, BACK)}))

    def cut(self):
        """Both ends see their connections break, and new ones are refused."""
        self.wires.do(lambda: self._set(is_cut=True))

    def slow(self, seconds):
        self.wires.do(lambda: self._set(delay_s=[seconds, seconds]))

    def heal(self):
        self.wires.do(lambda: self._set(modes={FORTH: OPEN, BACK: OPEN}, delay_s=[0.0, 0.0], is_cut=False))

    def _set(self, modes=None, delay_s=None, is_cut=None):
        for direction, mode in (modes or {}).items():
            self.modes[direction] = mode
        self.delay_s = delay_s or self.delay_s
        if is_cut is not None:
            self.is_cut = is_cut
        for pair in list(self.pairs):
            if self.is_cut:
                pair.close()
            else:
                pair.turn()


class _Pair:
    """A connection through a wire. ends[0] is who came, ends[1] who it came for; queues[d] is what goes in direction d."""

    def __init__(self, wire, ends):
        self.wire, self.ends = wire, ends
        self.queues = [[], []]  # [due, bytes]
        self.kept, self.events, self.ended = [0, 0], [0, 0], [False, False]
        wire.pairs.add(self)
        self.turn()

    def turn(self):
        """Sends what is due, and waits for what has to be waited for."""
        now = time.monotonic()
        for direction in (FORTH, BACK):
            if not self._push(direction, now):
                self.close()
                return
        for end in (0, 1):
            self._wait_for(end, now)

    def _push(self, direction, now):
        queue, to = self.queues[direction], self.ends[1 - direction]
        while queue and self.wire.modes[direction] == OPEN and queue[0][0] <= now:
            try:
                count = to.send(queue[0][1])
            except BlockingIOError:
                return True
            except OSError:
                return False
            self.kept[direction] -= count
            queue[0][1] = queue[0][1][count:]
            if not queue[0][1]:
                queue.pop(0)
        if queue and self.wire.modes[direction] == OPEN:
            self.wire.wires.later(queue[0][0], self)
        # A connection that one end closed is over once the rest has gone.
        return not (self.ended[direction] and not queue and self.wire.modes[direction] == OPEN)

    def _wait_for(self, end, now):
        wanted = 0
        if not self.ended[end] and self.kept[end] < KEPT_BYTES_MAX:
            wanted |= selectors.EVENT_READ
        back = self.queues[1 - end]
        if back and self.wire.modes[1 - end] == OPEN and back[0][0] <= now:
            wanted |= selectors.EVENT_WRITE
        self.wire.wires.watch(self.ends[end], self, self.events[end], wanted)
        self.events[end] = wanted

    def ready(self, which):
        direction = self.ends.index(which)
        if self.events[direction] & selectors.EVENT_READ:
            try:
                data = which.recv(PIECE_BYTES)
            except BlockingIOError:
                data = None
            except OSError:
                self.close()
                return
            if data:
                self.queues[direction].append([time.monotonic() + self.wire.delay_s[direction], data])
                self.kept[direction] += len(data)
            elif data is not None:
                self.ended[direction] = True
        self.turn()

    def close(self):
        if self in self.wire.pairs:
            self.wire.pairs.discard(self)
            for end in (0, 1):
                self.wire.wires.watch(self.ends[end], self, self.events[end], 0)
                self.ends[end].close()


class Wires:
    """All wires of a test, in a thread of their own."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.wires, self.jobs, self.dues, self.count = [], [], [], 0
        self.waker, self.woken = socket.socketpair()
        self.woken.setblocking(False)
        self.selector.register(self.woken, selectors.EVENT_READ, None)
        self.over = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def wire(self, port, target):
        """A new one from this port of the machine to the other."""
        made = Wire(self, port, target)
        self.wires.append(made)
        self.do(lambda: self.selector.register(made.listener, selectors.EVENT_READ, made))
        return made

    def do(self, job):
        """In the wires' thread; done when this returns."""
        done = threading.Event()
        self.jobs.append((job, done))
        self.waker.send(b"x")
        done.wait(10)

    def later(self, due, pair):
        self.count += 1
        heapq.heappush(self.dues, (due, self.count, pair))

    def watch(self, which, pair, before, wanted):
        if before == wanted:
            return
        if not before:
            self.selector.register(which, wanted, pair)
        elif not wanted:
            self.selector.unregister(which)
        else:
            self.selector.modify(which, wanted, pair)

    def _run(self):
        while not self.over:
            wait = max(0.0, self.dues[0][0] - time.monotonic()) if self.dues else 1.0
            for key, _ in self.selector.select(wait):
                if key.data is None:
                    self._jobs()
                elif isinstance(key.data, Wire):
                    self._accept(key.data)
                elif key.fileobj.fileno() >= 0:
                    key.data.ready(key.fileobj)
            while self.dues and self.dues[0][0] <= time.monotonic():
                pair = heapq.heappop(self.dues)[2]
                if pair in pair.wire.pairs:
                    pair.turn()

    def _jobs(self):
        with contextlib.suppress(BlockingIOError):
            self.woken.recv(4096)
        while self.jobs:
            job, done = self.jobs.pop(0)
            job()
            done.set()

    @staticmethod
    def _accept(wire):
        with contextlib.suppress(OSError):
            came, _ = wire.listener.accept()
            # While nothing passes, nobody new comes in: its connection would be one more that hangs.
            if wire.is_cut or HELD in wire.modes:
                came.close()
                return
            try:
                there = socket.create_connection(("127.0.0.1", wire.target), 1)
            except OSError:
                came.close()
                return
            for one in (came, there):
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Pair(wire, [came, there])

    def close(self):
        def end():
            self.over = True
            for wire in self.wires:
                for pair in list(wire.pairs):
                    pair.close()
                wire.listener.close()

        self.do(end)
        self.thread.join(10)
        for one in (self.waker, self.woken):
            one.close()
