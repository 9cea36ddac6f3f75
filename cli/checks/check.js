// One line of the checklist.

/**
 * @typedef {object} Check
 * @property {string} id stable, for machines
 * @property {'ok' | 'warning' | 'failed' | 'skipped'} status
 * @property {string} message what was found
 * @property {string} [advice] what to do, in lines
 * @property {object} [details] the facts behind it
 */

/** @typedef {{ message: string, advice?: string, details?: object }} Finding */

/** @param {Check['status']} status @returns {(id: string, finding: Finding) => Check} */
const of =
  (status) =>
  (id, { message, advice, details }) => ({
    ...{ id, status, message },
    ...(advice && { advice }),
    ...(details && { details }),
  })

/** @param {string} id @param {string} reason @returns {Check} */
const skipped = (id, reason) => ({ id, status: 'skipped', message: reason })

module.exports = { ok: of('ok'), warning: of('warning'), failed: of('failed'), skipped }
