// The packages with the native part, which npm installs beside the published package only.
declare module 'authjs-bridge-*' {
  const native: typeof import('../../index.js') & { diagnose(): Promise<import('../../cli/native.js').Check[]> }
  export = native
}
