// node burst_receiver.js VERSION PORT BURSTS: as burst_receiver.c, with MQTT.js.
'use strict'

const mqtt = require('mqtt')

const [version, port, bursts] = process.argv.slice(2).map(Number)
const client = mqtt.connect({ host: '127.0.0.1', port, protocolVersion: version, reconnectPeriod: 0 })
let seen = new Set()
let doubled = 0
let left = bursts

client.on('message', (topic, payload) => {
  const text = payload.toString('latin1', 0, 8)
  if (!text.startsWith('end')) {
    if (seen.has(parseInt(text))) doubled++
    seen.add(parseInt(text))
    return
  }
  console.log(`${seen.size} different, ${doubled} doubled`)
  seen = new Set()
  doubled = 0
  if (--left === 0) client.end()
})
client.on('connect', () => client.subscribe('burst', { qos: 2 }, (error) => {
  if (error) throw error
  console.log('subscribed')
}))
