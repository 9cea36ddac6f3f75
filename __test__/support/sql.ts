import type pg from 'pg'

/** Runs what doctor advises as psql does: statement by statement, without the remarks. */
export async function runAdvice(client: pg.Client, advice = '') {
  const statements = advice
    .split('\n')
    .filter((line) => !line.startsWith('--'))
    .join('\n')
    .split(/;$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
  for (const statement of statements) await client.query(statement)
  return statements
}
