// The native part, with a function that is for the command line alone.

/**
 * One line of the checklist: see `src/doctor/check.rs`.
 *
 * @typedef {object} Check
 * @property {string} id stable, for machines
 * @property {'ok' | 'warning' | 'failed' | 'skipped'} status
 * @property {string} message what was found
 * @property {string} [advice] what to do, in lines
 * @property {object} [details] the facts behind it
 */

/** @returns {typeof import('../index.js') & { diagnose(): Promise<Check[]> }} */
function native() {
  try {
    return require('../binding.js')
  } catch (cause) {
    throw require('../unavailable.js').unavailable(cause)
  }
}

module.exports = { native }
