// What each reason of `explainSession` means, and what to do. docs/how-a-request-is-decided.md has the same table; a test
// compares them.

/** @satisfies {Record<import('../index.js').SessionExplanation['reason'], { meaning: string, advice: string }>} */
const REASONS = {
  live: {
    meaning: 'the session lives',
    advice: 'nothing',
  },
  'no-cookie': {
    meaning: 'none of the names in `expected` is there',
    advice:
      'compare with `nearMisses`: another prefix means that `AUTH_URL` or `secureCookie` and Auth.js disagree, another suffix or issuer wants the option `cookieName`; without near misses the browser sent none: signed out, or `SameSite`, `Domain` and `Path` of the cookie',
  },
  'header-too-large': {
    meaning: 'the header has over 64 KiB',
    advice: 'find out who sets so many cookies',
  },
  'empty-cookie': {
    meaning: 'the session cookie has no value',
    advice: 'a sign-out that left it, or a proxy that strips it',
  },
  'chunk-gap': {
    meaning: 'a chunk of the cookie is missing',
    advice: 'a limit on cookies or headers in a proxy or browser dropped it: make the token smaller',
  },
  'stale-chunks': {
    meaning: 'chunks of a longer token were left behind',
    advice: 'the next sign-in sets them anew; look for who sets the cookie beside Auth.js',
  },
  'token-too-large': {
    meaning: 'the token has over 32 KiB',
    advice: 'put less into it',
  },
  'malformed-token': {
    meaning: 'not a compact JWE, or one with an odd header',
    advice: "the value was changed on its way, or is another software's, or of an `encode` of your own",
  },
  'unsupported-header': {
    meaning: "a field of the token's header is not what Auth.js writes",
    advice: 'look for another software that writes this cookie, or for an `encode` of your own',
  },
  'no-matching-secret': {
    meaning: "the token's `kid` names none of the keys, of which `secrets` has the beginnings",
    advice:
      "the secret differs between the apps or was replaced: put the old one last in the list; or the token was made for another cookie name, which its key depends on; without any `secrets` the cookie's `issuer` is wrong",
  },
  undecryptable: {
    meaning: 'the tag is wrong: changed, cut, or sealed with another secret',
    advice:
      "as above; a token of NextAuth v4 under a name of your own wants `issuer: 'next-auth-v4'`; if it is a single user, the cookie was damaged or forged",
  },
  'malformed-claims': {
    meaning: 'no JSON object, or a time that is no number',
    advice: 'correct your `encode` or `jwt` callback',
  },
  'missing-claims': {
    meaning:
      'a claim that is needed is absent, or no UUID (`user_type`: neither `client` nor `internal`); `id` stands for `id`, else `sub`',
    advice: 'correct your `jwt` callback; tokens from before want a new sign-in',
  },
  'token-expired': {
    meaning: '`exp` has passed',
    advice: 'a new sign-in; `maxAge` of your Auth.js configuration says how long a token lasts',
  },
  'token-not-yet-valid': {
    meaning: '`nbf` is still to come',
    advice: 'set the clocks',
  },
  'session-unknown': {
    meaning: 'no such row in that tenant',
    advice: 'insert the row before the token is issued; was it deleted?',
  },
  'session-revoked': {
    meaning: '`revoked_at` is set',
    advice: 'a new sign-in',
  },
  'session-expired': {
    meaning: '`expires_at` has passed',
    advice: 'a new sign-in, or extend the row while it is in use',
  },
  'user-mismatch': {
    meaning: 'the row belongs to another user than the token',
    advice: 'look at who writes the row, and when the app switches users',
  },
  'user-gone': {
    meaning: "the row's user is not in the tenant",
    advice: 'was the user deleted or moved?',
  },
  'user-type-changed': {
    meaning: "the user's `user_type` is another one now",
    advice: 'a new sign-in',
  },
  'database-unavailable': {
    meaning: "the database can't be asked; `code` says how",
    advice: 'see errors',
  },
}

module.exports = { REASONS }
