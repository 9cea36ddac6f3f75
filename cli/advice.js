// The meaning of each reason that `explainSession` returns, and what to do about it. docs/how-a-request-is-decided.md
// has the same table; a test compares the two.

/** @satisfies {Record<import('../index.js').SessionExplanation['reason'], { meaning: string, advice: string }>} */
const REASONS = {
  live: {
    meaning: 'the session is live',
    advice: 'nothing',
  },
  'no-cookie': {
    meaning: 'the header has none of the cookies in `expected`',
    advice:
      "look at `nearMisses`. Another prefix: Auth.js and this package disagree about `AUTH_URL` or `secureCookie`. Another suffix or issuer: set the option `cookieName`. Another separator: a proxy joined several `Cookie` headers by commas; make it join them by `; `. No near misses: the browser sent no session cookie, because the user is signed out or the cookie's `SameSite`, `Domain` or `Path` doesn't match the request",
  },
  'header-too-large': {
    meaning: 'the header is larger than 64 KiB',
    advice: 'find out which software sets so many cookies',
  },
  'empty-cookie': {
    meaning: 'the session cookie has no value',
    advice: 'find out what empties it: a sign-out that does not delete the cookie, or a proxy',
  },
  'chunk-gap': {
    meaning: 'a chunk of the cookie is missing',
    advice: 'make the token smaller: a proxy or the browser dropped the chunk because of a limit on cookies or headers',
  },
  'stale-chunks': {
    meaning: 'chunks of an earlier, longer token are still there',
    advice: 'sign in again, which replaces all chunks. If it comes back, find out what sets the cookie besides Auth.js',
  },
  'token-too-large': {
    meaning: 'the token is larger than 32 KiB',
    advice: 'put fewer or smaller claims into it',
  },
  'malformed-token': {
    meaning: 'the value is not a compact JWE, or its header is not valid',
    advice:
      'find out what changed the value on its way or writes this cookie: a proxy, other software, or your own `encode`',
  },
  'database-token': {
    meaning: 'the value is the key of a session in the database of Auth.js, not a token',
    advice:
      "set `session: { strategy: 'jwt' }` in your Auth.js configuration, since an adapter makes `'database'` the default",
  },
  'signed-token': {
    meaning: 'the token is a signed JWT, which is not encrypted',
    advice:
      'remove your own `encode` and `decode` from the Auth.js configuration, or find out which software writes this cookie',
  },
  'unsupported-header': {
    meaning: "a field of the token's header is not one that Auth.js writes",
    advice: 'find out which software writes this cookie, or correct your own `encode`',
  },
  'no-matching-secret': {
    meaning: "the token's `kid` matches none of the keys. `secrets` lists the first characters of each key's `kid`",
    advice:
      "if the apps have different secrets, give them the same; if the secret was replaced, let the old one still open tokens: `AUTH_SECRET_1` the old, `AUTH_SECRET_2` the new, no `AUTH_SECRET`. Or the token was made for another cookie name: the key depends on it. If `secrets` is empty, the cookie's `issuer` is wrong",
  },
  undecryptable: {
    meaning: 'the authentication tag is wrong: the token was changed, cut off, or encrypted with another secret',
    advice:
      "check the secret as for `no-matching-secret`. A token of NextAuth v4 in a cookie with a name of your own needs `issuer: 'next-auth-v4'`. If only one user is affected, the cookie was damaged or forged",
  },
  'malformed-claims': {
    meaning: 'the claims are not a JSON object, or one of their times is not a number',
    advice: 'correct your `encode` or `jwt` callback',
  },
  'missing-claims': {
    meaning:
      "a required claim is absent, or is an id that its column can't hold (`user_type`: is neither `client` nor `internal`). `id` is the claim `id`, or `sub` where there is none",
    advice:
      "correct your `jwt` callback: ids must be what the columns of the tables hold. Tokens from before the correction need a new sign-in; but where `user_type` alone is missing, `userCheck: 'exists'` accepts them",
  },
  'token-expired': {
    meaning: '`exp` has passed',
    advice: 'sign in again. `maxAge` in your Auth.js configuration sets how long a token is valid',
  },
  'token-not-yet-valid': {
    meaning: '`nbf` is in the future',
    advice: 'synchronize the clocks of the servers',
  },
  'session-unknown': {
    meaning: 'there is no session with this id, or not in this tenant',
    advice:
      'look whether row-level security hides the row (`npx authjs-bridge doctor` tells), whether another database, schema or a replica is asked, and whether the row was deleted, or is only inserted after the token was issued',
  },
  'session-revoked': {
    meaning: '`revoked_at` is set',
    advice: 'sign in again',
  },
  'session-expired': {
    meaning: '`expires_at` has passed',
    advice: 'sign in again. If all sessions end like this, nothing keeps them alive: add `proxy` or `refreshSession`',
  },
  'session-too-old': {
    meaning: 'it has lived for as long as `absoluteMaxAge` allows, or its `created_at` is null',
    advice: 'sign in again',
  },
  'user-mismatch': {
    meaning: "the session's row belongs to another user than the token",
    advice: 'check the code that writes the row, and when the app switches users',
  },
  'user-gone': {
    meaning: "the user of the row doesn't exist, or not in this tenant",
    advice: 'check whether the user was deleted or moved to another tenant',
  },
  'user-type-changed': {
    meaning: "the user's `user_type` is no longer that of the token",
    advice: 'sign in again',
  },
  'database-unavailable': {
    meaning: 'the database could not be queried; `code` says why',
    advice: 'see errors',
  },
}

module.exports = { REASONS }
