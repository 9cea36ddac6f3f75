// What is used of Next.js. It is loaded when it is first needed, since `route` also works without Next.js, and then kept: where a
// module was loaded by another package before, `require` looks through the file system for it at each call.

/** @template T @param {() => T} load @returns {() => T} */
function once(load) {
  /** @type {{ loaded: T } | undefined} */
  let kept
  return () => {
    kept ??= { loaded: load() }
    return kept.loaded
  }
}

const nextHeaders = once(() => require('next/headers'))
const nextServer = once(() => require('next/server'))

/** Internal to Next.js, from version 15 on; undefined before. */
const requestStorage = once(() => {
  try {
    return require('next/dist/server/app-render/work-unit-async-storage.external').workUnitAsyncStorage
  } catch {
    return undefined
  }
})

module.exports = { nextHeaders, nextServer, requestStorage }
