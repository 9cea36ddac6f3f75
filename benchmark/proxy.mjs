// A proxy before the database, in a process of its own, so that its work is not taken for that of a contestant.

import { fork } from 'node:child_process'
import { once } from 'node:events'

/**
 * @typedef {object} Distance
 * @property {number} latencyMs what a round trip takes longer
 * @property {number} slowEvery of so many queries one is slow; 0 for none
 * @property {number} slowMs how much later the slow one reaches the server
 */

/**
 * @param {string} url of the server
 * @param {Distance} distance
 */
export async function startProxy(url, distance) {
  const child = fork(new URL('proxy-process.mjs', import.meta.url))
  child.send({ port: Number(new URL(url).port), distance })
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
