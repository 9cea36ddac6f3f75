// postgres.js with the settings that are fastest here.

import { once } from 'node:events'
import { connect } from 'node:net'
import postgres from 'postgres'

/**
 * Opens one connection: with the database on the same machine, each further one is another server process to wake.
 *
 * @param {string} url
 * @param {Record<string, string>} [settings] of the session in the database
 */
export function openPipeline(url, settings = {}) {
  const options = {
    max: 1,
    // With the default of 100, latency would leave the connection idle.
    max_pipeline: 1000,
    fetch_types: false,
    connection: settings,
    socket: connectWithoutDelay,
  }
  return postgres(url, options)
}

/**
 * By default postgres.js leaves Nagle's algorithm on, which delays a query while another is in flight.
 *
 * @param {{ host: string[], port: number[] }} options
 */
async function connectWithoutDelay({ host, port }) {
  const socket = connect({ host: host[0], port: Number(port[0]), noDelay: true })
  await once(socket, 'connect')
  return socket
}
