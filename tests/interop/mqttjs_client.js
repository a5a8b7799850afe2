// node mqttjs_client.js TEST PORT VERSION: prints "ok" and exits with 0, or tells what went wrong.
'use strict'

const assert = require('node:assert')
const { once } = require('node:events')
const mqtt = require('mqtt')

const [name, port, version] = process.argv.slice(2)

// Messages are kept as they come, so that none is missed between two awaits.
async function connect (options) {
  const client = mqtt.connect({
    host: '127.0.0.1', port: Number(port), protocolVersion: Number(version), reconnectPeriod: 0, ...options
  })
  client.arrived = []
  client.on('message', (topic, payload, packet) => {
    client.arrived.push({ topic, payload, packet })
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

async function pair (test) {
  const publisher = await connect()
  const subscriber = await connect()
  await test(publisher, subscriber)
  await publisher.endAsync()
  await subscriber.endAsync()
}

const tests = {
  hello: () => pair(async (publisher, subscriber) => {
    const granted = await subscriber.subscribeAsync('greetings')
    assert.strictEqual(granted[0].qos, 0)
    await publisher.publishAsync('greetings', 'hello')
    const { topic, payload, packet } = await message(subscriber)
    assert.deepStrictEqual([topic, payload.toString(), packet.qos, packet.retain], ['greetings', 'hello', 0, false])
  }),

  wildcards: () => pair(async (publisher, subscriber) => {
    await subscriber.subscribeAsync(['a/+/c', 'b/#'])
    for (const topic of ['a/b', 'a/b/c', 'b', 'b/c/d', 'c']) await publisher.publishAsync(topic, topic)
    for (const expected of ['a/b/c', 'b', 'b/c/d']) assert.strictEqual((await message(subscriber)).topic, expected)
  }),

  unsubscribe: () => pair(async (publisher, subscriber) => {
    await subscriber.subscribeAsync(['t', 'end'])
    await subscriber.unsubscribeAsync('t')
    await publisher.publishAsync('t', '1')
    await publisher.publishAsync('end', '2')
    assert.strictEqual((await message(subscriber)).topic, 'end')
  }),

  order: () => pair(async (publisher, subscriber) => {
    await subscriber.subscribeAsync('t')
    for (let number = 0; number < 1000; number++) publisher.publish('t', String(number))
    for (let number = 0; number < 1000; number++) {
      assert.strictEqual((await message(subscriber)).payload.toString(), String(number))
    }
  }),

  // It acknowledges what it is asked and then publishes its answer.
  answers: () => pair(async (asking, answering) => {
    await answering.subscribeAsync('question', { qos: 1 })
    await asking.subscribeAsync('answer', { qos: 1 })
    answering.on('message', (topic, payload) => answering.publish('answer', payload, { qos: 1 }))
    for (let round = 0; round < 20; round++) {
      await asking.publishAsync('question', String(round), { qos: 1 })
      assert.strictEqual((await message(asking)).payload.toString(), String(round))
    }
  }),

  // More at once than a server may want under way: it counts no Receive Maximum. What it was refused it would send again
  // with its next connection, for ever.
  overrun: () => pair(async (publisher, subscriber) => {
    await subscriber.subscribeAsync('t', { qos: 0 })
    const fail = () => {
      console.error('the connection was closed')
      process.exit(1)
    }
    publisher.on('close', fail)
    const told = []
    for (let number = 0; number < 3000; number++) told.push(publisher.publishAsync('t', String(number), { qos: 2 }))
    await Promise.all(told)
    for (let number = 0; number < 3000; number++) {
      assert.strictEqual((await message(subscriber)).payload.toString(), String(number))
    }
    publisher.off('close', fail)
  }),

  ping: async () => {
    const client = await connect({ keepalive: 1 })
    for (let pings = 0; pings < 2;) {
      const [packet] = await once(client, 'packetreceive')
      if (packet.cmd === 'pingresp') pings++
    }
    assert.ok(client.connected)
    await client.endAsync()
  },

  large: () => pair(async (publisher, subscriber) => {
    const payload = Buffer.alloc(500000, 'x')
    await subscriber.subscribeAsync('t')
    await publisher.publishAsync('t', payload)
    assert.ok((await message(subscriber)).payload.equals(payload))
  }),

  connack: async () => {
    const client = await connect({ clientId: '' })
    const { maximumQoS, retainAvailable, receiveMaximum, topicAliasMaximum, assignedClientIdentifier } = client.connack.properties
    assert.strictEqual(maximumQoS, undefined)
    assert.strictEqual(retainAvailable, undefined)
    assert.strictEqual(receiveMaximum ?? 65535, 65535) // as it is where nothing is said
    assert.strictEqual(topicAliasMaximum, 32)
    assert.ok(assignedClientIdentifier)
    await client.endAsync()
  },

  properties: () => pair(async (publisher, subscriber) => {
    const properties = {
      contentType: 'text/plain', responseTopic: 're/ply', correlationData: Buffer.from('7'), userProperties: { key: ['1', '2'] }
    }
    await subscriber.subscribeAsync('t')
    await publisher.publishAsync('t', 'x', { properties })
    const got = (await message(subscriber)).packet.properties
    assert.strictEqual(got.contentType, 'text/plain')
    assert.strictEqual(got.responseTopic, 're/ply')
    assert.deepStrictEqual([...got.userProperties.key], ['1', '2'])
  }),

  // It looks at no topic, and sends again with each connection what was not acknowledged: a connection that ended for it
  // would end for ever.
  refused: async () => {
    const client = await connect()
    let closed = 0
    client.on('close', () => { closed++ })
    const refusals = [['a/+/b', 'x'], ['/'.repeat(128), 'x']]
    if (version === '4') refusals.push(['large', Buffer.alloc(2 << 20)]) // it heeds no maximum packet size either
    for (const [topic, payload] of refusals) {
      for (const qos of [1, 2]) {
        const told = client.publishAsync(topic, payload, { qos })
        if (version === '5') await assert.rejects(told, { code: 0x90 })
        else await told
      }
    }
    await client.publishAsync('t', 'on it goes', { qos: 1 })
    assert.strictEqual(closed, 0)
    await client.endAsync()
  },

  takeover: async () => {
    const first = await connect({ clientId: 'same' })
    const told = once(first, 'disconnect')
    const second = await connect({ clientId: 'same' })
    const [packet] = await told
    assert.strictEqual(packet.reasonCode, 0x8E)
    await second.endAsync()
    first.end(true)
  }
}

tests[name]().then(() => console.log('ok'), (error) => {
  console.error(error)
  process.exit(1)
})
