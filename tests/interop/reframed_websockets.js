// node reframed_websockets.js URL VERSION CA: a conversation over a WebSocket; prints "ok" and exits with 0.
'use strict'

const assert = require('node:assert')
const fs = require('node:fs')
const { once } = require('node:events')
const mqtt = require('mqtt')

const [url, version, ca] = process.argv.slice(2)
const MESSAGES = 100
const LARGE_BYTES = 70000

async function talk () {
  const client = await mqtt.connectAsync(url, {
    protocolVersion: Number(version), reconnectPeriod: 0, keepalive: 1, ca: fs.readFileSync(ca)
  })
  const arrived = []
  client.on('message', (topic, payload) => {
    arrived.push([topic, payload])
    client.emit('arrival')
  })
  const message = async () => {
    while (arrived.length === 0) await once(client, 'arrival')
    return arrived.shift()
  }
  await client.subscribeAsync({ 'few/#': { qos: 2 }, large: { qos: 1 } })
  for (const qos of [0, 1, 2]) {
    for (let number = 0; number < MESSAGES; number++) client.publish(`few/${qos}`, String(number), { qos })
    for (let number = 0; number < MESSAGES; number++) {
      assert.deepStrictEqual((await message()).map(String), [`few/${qos}`, String(number)])
    }
  }
  const payload = Buffer.alloc(LARGE_BYTES)
  for (let i = 0; i < payload.length; i++) payload[i] = (i * 31 + (i >> 8)) % 256
  await client.publishAsync('large', payload, { qos: 1 })
  assert.ok((await message())[1].equals(payload))
  await client.endAsync()
}

talk().then(() => console.log('ok'), (error) => {
  console.error(error)
  process.exit(1)
})
