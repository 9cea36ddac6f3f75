'use client'

import { useCallback, useEffect, useState } from 'react'

const ENDPOINT = '/api/auth/session'

/** The endpoint's answer as it comes. */
export function SessionBody() {
  const [answer, setAnswer] = useState<{ status: number; body: string }>()

  const load = useCallback(async () => {
    const response = await fetch(ENDPOINT)
    setAnswer({ status: response.status, body: await response.text() })
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
        <span className={answer?.status === 200 ? 'badge badge-current' : 'badge badge-failed'}>
          {answer?.status ?? '…'}
        </span>
        <button type="button" className="button button-quiet" onClick={load}>
          Ask again
        </button>
      </p>
      <pre data-testid="body">{answer?.body ?? ' '}</pre>
    </section>
  )
}
