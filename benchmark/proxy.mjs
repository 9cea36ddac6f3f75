// Starts a proxy in front of the database. It runs in its own process, so that its CPU time doesn't count for a contestant.

import { fork } from 'node:child_process'
import { once } from 'node:events'

/**
 * @typedef {object} Network
 * @property {number} latencyMs added to each round trip
 * @property {number} slowEvery one of this many queries is slow; 0 for none
 * @property {number} slowMs added before a slow query reaches the server
 */

/**
 * @param {string} url of the server
 * @param {Network} network
 */
export async function startProxy(url, network) {
  const child = fork(new URL('proxy-process.mjs', import.meta.url))
  child.send({ port: Number(new URL(url).port), network })
  const [port] = await once(child, 'message')
  const proxied = new URL(url)
  proxied.port = String(port)
  return {
    url: proxied.href,
    async stop() {
      const exit = once(child, 'exit')
      child.disconnect()
      await exit
    },
  }
}
