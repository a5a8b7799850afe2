// node restarts.js STEP PORT VERSION: one step of a session that outlives the server; prints "ok" and exits with 0.
'use strict'

const assert = require('node:assert')
const { once } = require('node:events')
const mqtt = require('mqtt')

const [step, port, version] = process.argv.slice(2)

// Messages may come with the CONNACK, so the listener is there before it.
async function connect (clientId, keep) {
  const five = version === '5' && keep ? { properties: { sessionExpiryInterval: 3600 } } : {}
  const client = mqtt.connect({
    host: '127.0.0.1', port: Number(port), protocolVersion: Number(version), reconnectPeriod: 0, clientId, clean: !keep, ...five
  })
  client.arrived = []
  client.on('message', (topic, payload, packet) => {
    client.arrived.push({ topic, payload: payload.toString(), qos: packet.qos })
    client.emit('arrival')
  })
  const [connack] = await once(client, 'connect')
  client.connack = connack
  return client
}

async function message (client) {
  while (client.arrived.length === 0) await once(client, 'arrival')
  return client.arrived.shift()
}

const steps = {
  async subscribe () {
    const client = await connect('away', true)
    const granted = await client.subscribeAsync('t/#', { qos: 2 })
    assert.strictEqual(granted[0].qos, 2)
    await client.endAsync()
  },

  async publish () {
    const client = await connect('from', false)
    for (let number = 0; number < 20; number++) await client.publishAsync(`t/${number}`, String(number), { qos: 1 + number % 2 })
    await client.endAsync()
  },

  async take () {
    const client = await connect('away', true)
    assert.strictEqual(client.connack.sessionPresent, true)
    // MQTT.js hands a message of QoS 2 on with its PUBREL, so the order holds among those of one QoS.
    const got = { 1: [], 2: [] }
    for (let number = 0; number < 20; number++) {
      const { topic, payload, qos } = await message(client)
      assert.strictEqual(topic, `t/${payload}`)
      got[qos].push(Number(payload))
    }
    for (const qos of [1, 2]) assert.deepStrictEqual(got[qos], Array.from({ length: 10 }, (_, i) => 2 * i + qos - 1))
    await client.endAsync()
  }
}

steps[step]().then(() => {
  console.log('ok')
  process.exit(0)
}, (error) => {
  console.log(error)
  process.exit(1)
})
