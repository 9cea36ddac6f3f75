// The native part, with a function that is for the command line alone.

/** @typedef {{ code: string, message: string }} Failure */
/** @template T @typedef {{ Ok: T, Err?: undefined } | { Ok?: undefined, Err: Failure }} Result */

/**
 * What `diagnose` finds out: see `src/diagnosis.rs`. A step is null where the connection was lost before it.
 *
 * @typedef {object} Diagnosis
 * @property {Configuration} configuration
 * @property {Result<DatabaseDiagnosis>} database
 *
 * @typedef {object} Configuration
 * @property {Result<{ variable: string, bytes: number }[]>} secrets
 * @property {Result<{ names: string[], because: { reason: 'url' | 'production' | 'nothing', variable?: string } }>} cookies
 * @property {boolean} isProduction
 * @property {Failure[]} warnings
 *
 * @typedef {{ target: Target, connection: Result<Examination> }} DatabaseDiagnosis
 *
 * @typedef {object} Target
 * @property {string[]} variables
 * @property {string} hosts
 * @property {string | null} user
 * @property {string | null} database
 * @property {boolean} isLocal
 * @property {'nothing' | 'chain' | 'chain-and-host-name'} verify
 * @property {boolean} preparedStatements
 * @property {string | null} schema
 *
 * @typedef {object} Examination
 * @property {string} address
 * @property {number} milliseconds
 * @property {{ Ok: { version: string, cipher: string | null } | null } | { Err: string }} tls
 * @property {Result<Server> | null} server
 * @property {'none' | 'session' | 'transaction' | null} pooler
 * @property {Result<{ ahead: number, uncertainty: number }> | null} clock
 * @property {Result<{ sessions: Table, users: Table }> | null} tables
 * @property {Result<{ first: number, median: number, worst: number }> | null} lookups
 * @property {Result<Scan[]> | null} plan
 * @property {Result<{ live: number, expired: number, revoked: number } | { seconds: number }> | null} sessions
 *
 * @typedef {{ version: string, user: string, database: string, isStandby: boolean, searchPath: string }} Server
 * @typedef {{ node: string, table: string, index: string | null, condition: string | null }} Scan
 * @typedef {{ found: FoundTable, missing?: undefined } | { found?: undefined, missing: { elsewhere: string[] } }} Table
 *
 * @typedef {object} FoundTable
 * @property {string} schema
 * @property {string} kind
 * @property {Column[]} columns
 * @property {boolean} schemaIsUsable
 * @property {boolean | null} hasUniqueKey
 * @property {{ policies: number, admitsAll: boolean } | null} rowSecurity
 * @property {boolean} holdsRows
 * @property {number | null} estimatedRows
 *
 * @typedef {object} Column
 * @property {string} name
 * @property {string} usualType
 * @property {boolean} isOptional
 * @property {{ type: string, fit: 'good' | 'doubtful' | 'wrong', isReadable: boolean } | null} actual
 */

/** @returns {typeof import('../index.js') & { diagnose(): Promise<Diagnosis> }} */
function native() {
  try {
    return require('../binding.js')
  } catch (cause) {
    throw require('../unavailable.js').unavailable(cause)
  }
}

module.exports = { native }
