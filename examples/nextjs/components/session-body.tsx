'use client'

import { useCallback, useEffect, useState } from 'react'

const ENDPOINT = '/api/auth/session'

/** The status and the body of the endpoint's response. */
export function SessionBody() {
  const [result, setResult] = useState<{ status: number; body: string }>()

  const load = useCallback(async () => {
    const response = await fetch(ENDPOINT)
    setResult({ status: response.status, body: await response.text() })
  }, [])

  useEffect(() => {
    load()
  }, [load])

  return (
    <section className="card card-wide" aria-labelledby="body">
      <h2 id="body">
        The endpoint <code>GET {ENDPOINT}</code>
      </h2>
      <p className="answer-status">
        <span className={result?.status === 200 ? 'badge badge-current' : 'badge badge-failed'}>
          {result?.status ?? '…'}
        </span>
        <button type="button" className="button button-quiet" onClick={load}>
          Fetch again
        </button>
      </p>
      <pre data-testid="body">{result?.body ?? ' '}</pre>
    </section>
  )
}
