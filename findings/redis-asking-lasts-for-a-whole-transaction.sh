#!/bin/sh
# ASKING is good for one command; in front of MULTI it is good for all commands up to EXEC.
#
# Software:  redis-server 5:7.0.15 (Debian 12: redis-server, redis-tools), as a cluster.
# Expected:  the cluster specification has ASKING set a flag that lasts for one command, so that a client that follows ASK says it
#            again before each. A transaction that follows ASK would need one ASKING before MULTI, which has no key and would use it
#            up, and one before each command behind it, each of which is queued by itself and answered with QUEUED.
# Behaviour: the flag is taken away after a command only outside a transaction. ASKING in front of MULTI holds for everything that is
#            queued, and for EXEC; one in the middle is queued as a command of the transaction and makes its answer one longer. So a
#            transaction that is answered with ASK is sent again as it is, behind one ASKING - if it is about one key. Two keys of the
#            slot are each queued, and EXEC then looks at them together, as at one command: where only one has moved yet it
#            answers TRYAGAIN, here and likewise there.
# Output seen:
#   two commands behind one ASKING: OK, MOVED
#   a transaction behind one ASKING: QUEUED, QUEUED, and EXEC: ['OK', 'OK']
#   ASKING within a transaction: QUEUED, and EXEC: ['OK', 'OK', 'OK']
#   a transaction of two keys, one of them there: QUEUED, QUEUED, and EXEC: TRYAGAIN
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
dir=$(mktemp -d)
cd "$dir"
pids=
trap 'kill $pids 2>/dev/null || true; wait || true; rm -rf "$dir"' EXIT
version=$(apt-cache madison redis-server 2>/dev/null | sed -n 's/.*| *\(5:7\.0\.15[^ ]*\) .*/\1/p' | head -1)
[ -n "$version" ] && apt-get download -q "redis-server=$version" "redis-tools=$version" liblua5.1-0 libjemalloc2 liblzf1 >/dev/null 2>&1 || { echo "redis-server 7.0.15 cannot be had here"; exit 2; }
for file in *.deb; do dpkg-deb -x "$file" root; done
server=$(find root -name redis-server -type f -path '*bin*' -o -name redis-check-rdb -type f -path '*bin*' | head -1)
[ -n "$server" ] || server=root/usr/bin/redis-check-rdb
cp "$server" redis-server 2>/dev/null || { echo "the package has no server"; exit 2; }

LD_LIBRARY_PATH=$(dirname "$(find "$dir/root" -name "libjemalloc.so.2" | head -1)")
export LD_LIBRARY_PATH
a=$((11000 + $$ % 4000 * 2)) b=$((a + 1))
for port in $a $b; do
	mkdir "$port"
	(cd "$port" && exec ../redis-server --port "$port" --bind 127.0.0.1 --cluster-enabled yes --cluster-require-full-coverage no --save '' \
		--dir "$dir/$port" >log 2>&1) &
	pids="$pids $!"
done
cat >talk.py <<'PROGRAM'
import socket, sys, time

A, B = (int(port) for port in sys.argv[1:])


class Node:
    def __init__(self, port):
        for _ in range(100):
            try:
                self.file = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(2)

    def answer(self):
        line = self.file.readline().rstrip()
        if line[:1] == b"$":
            return self.file.read(int(line[1:]) + 2)[:-2].decode() if line != b"$-1" else None
        if line[:1] == b"*":
            return [self.answer() for _ in range(int(line[1:]))]
        return line[1:].decode()

    def say(self, *commands):
        for command in commands:
            words = command.split()
            self.file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words))
        self.file.flush()
        return [self.answer() for _ in commands]


a, b = Node(A), Node(B)
assert a.say(f"CLUSTER MEET 127.0.0.1 {B}") == ["OK"]
slot = int(a.say("CLUSTER KEYSLOT {t}1")[0])
assert a.say(f"CLUSTER ADDSLOTS {slot}") == ["OK"]
ids = a.say("CLUSTER MYID")[0], b.say("CLUSTER MYID")[0]
for _ in range(600):
    if all("cluster_state:ok" in node.say("CLUSTER INFO")[0] for node in (a, b)) and str(slot) in str(b.say("CLUSTER SLOTS")[0]):
        break
    time.sleep(0.05)
assert b.say(f"CLUSTER SETSLOT {slot} IMPORTING {ids[0]}") == ["OK"]
assert a.say(f"CLUSTER SETSLOT {slot} MIGRATING {ids[1]}") == ["OK"]
word = lambda answer: str(answer).split()[0]
got = b.say("ASKING", "SET {t}1 x", "SET {t}1 x")[1:]
print("two commands behind one ASKING:", ", ".join(word(one) for one in got))
got = b.say("ASKING", "MULTI", "SET {t}1 x", "SET {t}1 x", "EXEC")[2:]
print(f"a transaction behind one ASKING: {got[0]}, {got[1]}, and EXEC: {got[2]}")
got = b.say("ASKING", "MULTI", "ASKING", "SET {t}1 x", "SET {t}1 x", "EXEC")[2:]
print(f"ASKING within a transaction: {got[0]}, and EXEC: {got[3]}")
got = b.say("ASKING", "MULTI", "SET {t}1 x", "SET {t}2 x", "EXEC")[2:]
print(f"a transaction of two keys, one of them there: {got[0]}, {got[1]}, and EXEC: {word(got[2])}")
PROGRAM
python3 talk.py $a $b >out 2>err || { cat out err; echo "the nodes do not come together"; exit 2; }
sed 's/^/  /' out
cat >expected <<'EXPECTED'
two commands behind one ASKING: OK, MOVED
a transaction behind one ASKING: QUEUED, QUEUED, and EXEC: ['OK', 'OK']
ASKING within a transaction: QUEUED, and EXEC: ['OK', 'OK', 'OK']
a transaction of two keys, one of them there: QUEUED, QUEUED, and EXEC: TRYAGAIN
EXPECTED
cmp -s out expected && { echo "holds: redis-server $version"; exit 0; }
echo "changed"
exit 1
