// The native part, including the functions that only the command line uses.

/**
 * One check of `doctor`; see `src/doctor/check.rs`.
 *
 * @typedef {object} Check
 * @property {string} id stable, for machines
 * @property {'ok' | 'warning' | 'failed' | 'skipped'} status
 * @property {string} message what was found
 * @property {string} [advice] what to do, one or more lines
 * @property {object} [details] what was found, as data; the fields depend on the check
 */

/**
 * Where the database is, by the configuration alone; see `src/postgres/examine/target.rs`.
 *
 * @typedef {object} Target
 * @property {string} hosts names and ports
 * @property {string | null} database
 */

/** @returns {typeof import('../index.js') & { diagnose(): Promise<Check[]>, databaseTarget(): Promise<Target> }} */
function native() {
  return require('../native.js').loadNative()
}

module.exports = { native }
