// Thrown for a wrong command line: exit code 2.

class UsageError extends Error {}

module.exports = { UsageError }
