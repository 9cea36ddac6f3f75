/** How long an unused session lasts: both the cookie and the row. */
export const SESSION_SECONDS = Number(process.env.SESSION_SECONDS ?? 30 * 24 * 60 * 60)

/** How long a session lasts at most, however much it is used. */
export const ABSOLUTE_SESSION_SECONDS = Number(process.env.ABSOLUTE_SESSION_SECONDS ?? 90 * 24 * 60 * 60)

/** How many sessions a user can have. One more signs out the device that was not used for longest. */
export const MAX_SESSIONS = Number(process.env.MAX_SESSIONS ?? 5)
