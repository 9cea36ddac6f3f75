import { Pool } from 'pg'

/** Connects at the first query, not at `next build`. */
export const database = new Pool({
  connectionString: process.env.DATABASE_URL,
  max: 5,
  connectionTimeoutMillis: 5_000,
  query_timeout: 5_000,
})

// Without a listener, the error of an idle connection that the server closes would end the process.
database.on('error', (error) => console.error(`database: ${error.message}`))
