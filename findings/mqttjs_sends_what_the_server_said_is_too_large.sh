#!/bin/bash
# MQTT.js does not look at the Maximum Packet Size that a server tells it in CONNACK.
#
# One would guess: a version 5 client that was told 1,000 bytes refuses to publish 5,000, for it must not send such a
# packet [MQTT-3.2.2-15]; and that a message for which the server has ended the connection with 0x95 (packet too large)
# is given up.
# Really: it sends the message, and as it is not acknowledged sends it again with each new connection, for ever; publish()
# never calls back, no error is told. What the application published behind it waits.
# Seen with mqtt 5.16.0 from npm, Node.js 20:
#   connections: 4, told 1,000 bytes at most each time; sent 5,000 of payload: 4 times; published: no call
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
npm install --silent --no-audit --no-fund --prefix "$scratch" mqtt@5.16.0 >/dev/null

cat >play.js <<'JS'
const net = require("net");
const mqtt = require("mqtt");

const MAXIMUM = 1000;
const PAYLOAD = 5000;
const ENOUGH = 4;
// Session present no, success; properties: Maximum Packet Size.
const CONNACK = Buffer.from([0x20, 8, 0, 0, 5, 0x27, 0, 0, MAXIMUM >> 8, MAXIMUM & 0xff]);
const TOO_LARGE = Buffer.from([0xe0, 2, 0x95, 0]);

let connections = 0;
let sent = 0;
let called = false;
let client;

function end(verdict) {
  console.log(`connections: ${connections}, told 1,000 bytes at most each time; sent 5,000 of payload: ${sent} times; ` +
              `published: ${called ? "called back" : "no call"}`);
  process.exit(verdict ? 0 : 1);
}

const server = net.createServer((socket) => {
  let bytes = 0;
  let greeted = false;
  socket.on("error", () => {});
  socket.on("data", (data) => {
    if (!greeted) {
      greeted = true;
      connections++;
      socket.write(CONNACK);
      return;
    }
    bytes += data.length;
    if (bytes < PAYLOAD || socket.writableEnded)
      return;
    sent++;
    if (sent === ENOUGH)
      end(!called);
    socket.end(TOO_LARGE);
  });
});

server.listen(0, "127.0.0.1", () => {
  client = mqtt.connect({ host: "127.0.0.1", port: server.address().port, protocolVersion: 5, clientId: "c", clean: false,
                          properties: { sessionExpiryInterval: 100 }, reconnectPeriod: 50 });
  client.on("error", () => {});
  client.publish("t", Buffer.alloc(PAYLOAD), { qos: 1 }, () => { called = true; });
});
setTimeout(() => end(false), 20000);
JS
node play.js || { echo "this has changed"; exit 1; }
