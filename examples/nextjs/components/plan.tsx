import type { AuthSessionUser } from 'authjs-bridge'
import { changePlan } from '@/app/dashboard/actions'
import { PLANS } from '@/lib/accounts'

/** The plan of the tenant, which the bridge reads from the database at each call: `freshClaims`. */
export function Plan({ user: { plan, user_type } }: { user: AuthSessionUser }) {
  return (
    <section className="card" aria-labelledby="plan">
      <h2 id="plan">
        Plan <code>freshClaims</code>
      </h2>
      {user_type === 'internal' ? (
        <form action={changePlan} className="plans">
          {PLANS.map((name) => (
            <button
              type="submit"
              key={name}
              name="plan"
              value={name}
              aria-pressed={name === plan}
              className="button button-quiet"
            >
              {name}
            </button>
          ))}
        </form>
      ) : (
        <p className="plan">{plan}</p>
      )}
      <p className="muted">
        {user_type === 'internal'
          ? 'This changes a row in the database, and no cookie. Each user of the tenant sees it on the next page, without a new sign-in.'
          : 'When the staff changes it, your next page shows it, without a new sign-in.'}
      </p>
    </section>
  )
}
