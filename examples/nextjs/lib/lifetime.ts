/** How long an unused session lasts: both the cookie and the row. */
export const SESSION_SECONDS = Number(process.env.SESSION_SECONDS ?? 30 * 24 * 60 * 60)
