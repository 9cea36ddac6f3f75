import { bridge } from '@/sessions'

/** What the calls of this page view took, and for comparison what the bridge measures itself. */
export function Timings({ ofAuth, ofDevices }: { ofAuth: number; ofDevices: number }) {
  const { count, p50 } = bridge.stats().latency
  const rows: [what: string, meaning: string, milliseconds: number][] = [
    ['auth()', 'in this page, with what Next.js does meanwhile', ofAuth],
    ['stats().latency.p50', `the bridge itself: the median of ${count} reads`, p50],
    ['listSessions()', 'in this page', ofDevices],
  ]
  return (
    <section className="card" aria-labelledby="timings">
      <h2 id="timings">What the calls took</h2>
      <table>
        <tbody>
          {rows.map(([what, meaning, milliseconds]) => (
            <tr key={what}>
              <td>
                <code>{what}</code>
                <span className="muted">{meaning}</span>
              </td>
              <td>{milliseconds.toFixed(2)} ms</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
