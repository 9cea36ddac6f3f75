/** How long a call takes until its result can be used here. */
export async function timed<Result>(call: () => Promise<Result>) {
  const start = performance.now()
  const result = await call()
  return { result, milliseconds: performance.now() - start }
}
