import type { AuthSession } from 'authjs-bridge'
import { changeUsername } from '@/app/dashboard/actions'

const USER_TYPES = { internal: 'Staff', client: 'Client portal' }

/** The session that `auth()` returns. */
export function SessionFields({ session: { user, session_id, login_method } }: { session: AuthSession }) {
  const fields: [string, string | undefined][] = [
    ['E-mail', user.email],
    ['Username', user.username],
    ['Tenant', user.tenantSlug],
    ['Plan', user.plan],
    ['Add-ons', user.addons.join(', ')],
    ['Client', user.clientId],
    ['Contact', user.contactId],
    ['Signed in by', login_method],
    ['Session', session_id],
  ]
  return (
    <section className="card" aria-labelledby="session">
      <h2 id="session">
        Your session <code>auth()</code>
      </h2>
      <p className="person">
        <strong>{user.name}</strong>
        <span className={`badge badge-${user.user_type}`}>{USER_TYPES[user.user_type]}</span>
      </p>
      <dl>
        {fields.map(
          ([name, value]) =>
            value && (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
      <form action={changeUsername} className="change">
        <label>
          New username
          <input name="username" required maxLength={40} autoComplete="off" />
        </label>
        <button type="submit" className="button button-quiet">
          Change
        </button>
      </form>
    </section>
  )
}
