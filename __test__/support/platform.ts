// Where systems differ: what tests need beyond Node.js and PostgreSQL, for `runIf`, and paths.

/** SIGSTOP and SIGCONT, which freeze a process. */
export const CAN_FREEZE = process.platform !== 'win32'
/** `/proc`, which lists the processes of a server. */
export const HAS_PROC = process.platform === 'linux'
/** `script` of util-linux, which gives a command a terminal. */
export const HAS_TERMINAL = process.platform === 'linux'
/** `nm` of binutils, for a binary in ELF. */
export const HAS_ELF = process.platform === 'linux'
/** Another C library or processor: see `scripts/emulated-tests.mjs`. */
export const IS_EMULATED = process.env.IS_EMULATED === '1'

/** A path to be put into code: with slashes, which Windows takes, too. */
export const inCode = (path: string) => path.replaceAll('\\', '/')
