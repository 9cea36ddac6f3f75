// postgres.js as it is fastest here.

import { once } from 'node:events'
import { connect } from 'node:net'
import postgres from 'postgres'

/**
 * One connection: on one machine, each more is one more server process to wake.
 *
 * @param {string} url
 * @param {Record<string, string>} [settings] of the session in the database
 */
export function openPipeline(url, settings = {}) {
  const options = {
    max: 1,
    // With its default of 100, the pipeline to a distant database would run dry.
    max_pipeline: 1000,
    fetch_types: false,
    connection: settings,
    socket: connectWithoutDelay,
  }
  return postgres(url, options)
}

/**
 * By itself, postgres.js leaves Nagle's algorithm on, which holds a query back while another is on its way.
 *
 * @param {{ host: string[], port: number[] }} options
 */
async function connectWithoutDelay({ host, port }) {
  const socket = connect({ host: host[0], port: Number(port[0]), noDelay: true })
  await once(socket, 'connect')
  return socket
}
