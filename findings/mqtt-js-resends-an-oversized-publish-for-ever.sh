#!/bin/sh
# One QoS 1 message above the server's Maximum Packet Size stops an MQTT.js client for good: it resends it after every reconnect.
#
# Software:  mqtt 5.16.0 with mqtt-packet 9.0.2 (npm), MQTT 5, default options but for a short reconnectPeriod.
# Expected:  the client knows the limit from CONNACK (client.serverProperties shows it) and must not send more [MQTT-3.2.2-15]:
#            publish() fails. At the latest DISCONNECT 0x95 (Packet too large) fails the message. And the option clean is true by
#            default, so a reconnect begins a new session (Session Present 0), in which nothing is left to resend.
# Behaviour: the message is sent, kept and sent again, byte for byte, as the first packet after every CONNACK, whatever DISCONNECT
#            said and although the session is new. Its callback gets no error. The messages published after it get no turn until the
#            server accepts the oversized one. (The README says that the limit is not applied, but not what follows.)
# Output seen:
#   connection 1 (limit 64): PUBLISH of 108 bytes, DUP 0
#   connection 2 (limit 64): PUBLISH of 108 bytes, DUP 0
#   connection 3 (limit 64): PUBLISH of 108 bytes, DUP 0
#   connection 4 (no limit): PUBLISH of 108 bytes, DUP 0; PUBLISH of 9 bytes, DUP 0
#   callbacks before connection 4: none; after it: large ok, small ok
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM

npm install --silent --no-audit --no-fund --prefix "$dir" mqtt@5.16.0 mqtt-packet@9.0.2 >"$dir/npm.log" 2>&1 || {
	cat "$dir/npm.log" >&2
	exit 2
}
cat >"$dir/show.js" <<'JS'
const net = require('net')
const mqtt = require('mqtt')

const LIMITED = 3, LIMIT = 64
const seen = []      // for each connection, the PUBLISH packets received before it ended
const callbacks = [] // of publish(), with the connection that was the newest at that time

// Calls back with each whole packet; those of this script are shorter than 128 bytes.
function packets(socket, receive) {
	let rest = Buffer.alloc(0)
	socket.on('data', data => {
		rest = Buffer.concat([rest, data])
		while (rest.length >= 2 && rest.length >= 2 + rest[1]) {
			const packet = rest.subarray(0, 2 + rest[1])
			rest = rest.subarray(packet.length)
			receive(packet)
		}
	})
}

const server = net.createServer(socket => {
	const publishes = []
	const limited = seen.push(publishes) <= LIMITED
	let over = false
	socket.on('error', () => {})
	packets(socket, packet => {
		const type = packet[0] >> 4
		if (over) return
		if (type === 1) socket.write(Buffer.from(limited ? [0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, LIMIT] : [0x20, 3, 0, 0, 0]))
		if (type !== 3) return
		publishes.push(packet)
		if (limited && packet.length > LIMIT) {
			over = true
			socket.end(Buffer.from([0xe0, 1, 0x95]))
		} else {
			const identifier = 4 + packet.readUInt16BE(2)
			socket.write(Buffer.from([0x40, 2, packet[identifier], packet[identifier + 1]]))
		}
	})
})

function finish(client, late) {
	seen.forEach((publishes, i) => console.log(`connection ${i + 1} (${i < LIMITED ? 'limit ' + LIMIT : 'no limit'}): ` +
		publishes.map(p => `PUBLISH of ${p.length} bytes, DUP ${p[0] >> 3 & 1}`).join('; ')))
	const named = list => list.map(c => `${c.name} ${c.error ? c.error.message : 'ok'}`).join(', ') || 'none'
	console.log(`callbacks before connection ${LIMITED + 1}: ${named(callbacks.filter(c => c.connection <= LIMITED))}; ` +
		`after it: ${named(callbacks.filter(c => c.connection > LIMITED))}`)
	const first = seen[0][0]
	const holds = !late && seen.length === LIMITED + 1 && callbacks.length === 2 &&
		seen.slice(0, LIMITED).every(p => p.length === 1 && p[0].equals(first)) && seen[LIMITED].length === 2 &&
		callbacks.every(c => c.connection === LIMITED + 1 && !c.error)
	if (!holds) console.error('the behaviour has changed')
	client.end(true)
	server.close()
	process.exit(holds ? 0 : 1)
}

server.listen(0, '127.0.0.1', () => {
	const client = mqtt.connect({ host: '127.0.0.1', port: server.address().port, protocolVersion: 5, reconnectPeriod: 20 })
	const published = name => error => {
		callbacks.push({ name, error, connection: seen.length })
		if (callbacks.length === 2) finish(client, false)
	}
	client.on('error', () => {})
	client.once('connect', () => {
		client.publish('news', 'x'.repeat(97), { qos: 1 }, published('large'))
		client.publish('a', 'y', { qos: 1 }, published('small'))
	})
	setTimeout(() => finish(client, true), 30000)
})
JS
(cd "$dir" && NODE_PATH="$dir/node_modules" timeout 60 node show.js) || exit 1
echo "holds: mqtt 5.16.0 resends what the server refused as too large, and lets nothing pass it"
