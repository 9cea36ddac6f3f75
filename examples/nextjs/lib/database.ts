import { Pool } from 'pg'

/** Connects at the first query, not at `next build`. */
export const database = new Pool({ connectionString: process.env.DATABASE_URL, max: 5, connectionTimeoutMillis: 5_000 })

// Without a listener, a connection that the server ends while nobody uses it would end the process.
database.on('error', (error) => console.error(`database: ${error.message}`))
