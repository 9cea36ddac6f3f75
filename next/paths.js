// Paths as Next.js has them in `nextUrl.pathname`: without its own `basePath`.

/** @param {string} pathname @param {string} base */
function isAtOrBelow(pathname, base) {
  return pathname === base || pathname.startsWith(`${base}/`)
}

/** @param {string} pathname @param {string} page */
function isPage(pathname, page) {
  return pathname === page || pathname === `${page}/`
}

/**
 * The path and the query of an address. The host is left out: behind a reverse proxy it is not the one that the browser knows. With
 * several slashes at its start, a path would name a host itself, wherever the app redirects to it.
 *
 * @param {string} href
 */
function withoutHost(href) {
  const { pathname, search } = new URL(href)
  return `${pathname.replace(/^\/+/, '/')}${search}`
}

module.exports = { isAtOrBelow, isPage, withoutHost }
