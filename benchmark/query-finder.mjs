// Where queries begin in what a client sends: messages "Bind" and "Query" of the PostgreSQL protocol.

const [BIND, QUERY] = ['B', 'Q'].map((type) => type.charCodeAt(0))
const SSL_REQUEST = 80_877_103

export class QueryFinder {
  /** Of the message whose header is being read. @type {number[]} */
  #header = []
  /** How much of the present message is still to come. */
  #rest = 0
  /** Before the session begins, messages have no type. */
  #typed = false

  /** @param {Buffer} bytes the next ones of the connection @returns {number[]} offsets in them */
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
