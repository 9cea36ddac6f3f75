// A command line that can't be meant.

class UsageError extends Error {}

module.exports = { UsageError }
