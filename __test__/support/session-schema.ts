// The JSON schema of the session object, as the options make it.

import type { AuthBridgeOptions } from '../../index.js'
import documented from '../session.schema.json' with { type: 'json' }

export type ShapeOptions = Pick<AuthBridgeOptions, 'multiTenant' | 'userCheck' | 'expires' | 'extraClaims'>

interface Members {
  required: string[]
  properties: Record<string, unknown>
}

/** For ids that are UUIDs. Without options it is `session.schema.json`. */
export function sessionSchema({ multiTenant, userCheck = 'type', expires, extraClaims = [] }: ShapeOptions = {}) {
  const schema = structuredClone(documented)
  const session = schema.oneOf[1] as Members & { properties: { user: Members } }
  const { user } = session.properties
  const makeOptional = (name: string) => user.required.splice(user.required.indexOf(name), 1)
  if (multiTenant === false) {
    makeOptional('tenant')
    delete user.properties.tenant
  }
  if (userCheck !== 'type') makeOptional('user_type')
  if (expires) {
    session.required.push('expires')
    session.properties.expires = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' }
  }
  for (const name of extraClaims) user.properties[name] = true
  return schema
}
