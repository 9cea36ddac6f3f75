/** @param {object} session what a bridge returns, which is `{}` for nobody */
function sessionOrNull(session) {
  return Object.hasOwn(session, 'user') ? session : null
}

module.exports = { sessionOrNull }
