// node mqttjs_transports.js URL VERSION [CA_FILE [CERTIFICATE KEY]]: prints "ok" and exits with 0, or tells what went wrong.
'use strict'

const assert = require('node:assert')
const { once } = require('node:events')
const fs = require('node:fs')
const mqtt = require('mqtt')

const [url, version, ca, certificate, key] = process.argv.slice(2)

async function main () {
  const tls = {}
  if (ca) Object.assign(tls, { ca: fs.readFileSync(ca) })
  if (certificate) Object.assign(tls, { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) })
  // wss takes what belongs to TLS in an object of its own.
  const client = mqtt.connect(url, { protocolVersion: Number(version), reconnectPeriod: 0, clientId: 'js', ...tls, wsOptions: tls })
  const arrived = []
  client.on('message', (topic, payload) => {
    arrived.push(payload)
    client.emit('arrival')
  })
  await once(client, 'connect')
  await client.subscribeAsync('t', { qos: 1 })
  const sizes = [0, 1, 100, 126, 16383, 16384, 16385, 65535, 65536, 300000]
  for (let round = 0; round < 20; round++) {
    const sent = sizes.map((size, number) => Buffer.alloc(size, 97 + (round + number) % 26))
    await Promise.all(sent.map((payload) => client.publishAsync('t', payload, { qos: 1 })))
    while (arrived.length < sent.length) await once(client, 'arrival')
    sent.forEach((payload, number) => assert.ok(arrived[number].equals(payload), `message ${number} of round ${round}`))
    arrived.length = 0
  }
  await client.endAsync()
}

main().then(() => console.log('ok'), (error) => {
  console.error(error)
  process.exit(1)
})
