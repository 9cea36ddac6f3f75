// Finds the start of each query in the bytes that a client sends: the messages "Bind" and "Query" of PostgreSQL's protocol.

const [BIND, QUERY] = ['B', 'Q'].map((type) => type.charCodeAt(0))
const SSL_REQUEST = 80_877_103

export class QueryFinder {
  /** The bytes of an incomplete message header. @type {number[]} */
  #header = []
  /** How many bytes of the current message are still to come. */
  #rest = 0
  /** False until the startup message, since messages up to it have no type byte. */
  #typed = false

  /** @param {Buffer} bytes the next bytes of the connection @returns {number[]} offsets of queries in `bytes` */
  find(bytes) {
    const found = []
    let messageStart = 0
    for (let at = 0; at < bytes.length; ) {
      if (this.#rest > 0) {
        const skipped = Math.min(this.#rest, bytes.length - at)
        this.#rest -= skipped
        at += skipped
        continue
      }
      if (this.#header.length === 0) messageStart = at
      this.#header.push(/** @type {number} */ (bytes[at++]))
      if (this.#header.length < (this.#typed ? 5 : 8)) continue
      const header = Buffer.from(this.#header)
      this.#header = []
      if (this.#typed) {
        if (header[0] === BIND || header[0] === QUERY) found.push(messageStart)
        this.#rest = header.readInt32BE(1) - 4
      } else {
        this.#typed = header.readInt32BE(4) !== SSL_REQUEST
        this.#rest = header.readInt32BE(0) - 8
      }
    }
    return found
  }
}
