const BROWSERS = { Edg: 'Edge', OPR: 'Opera', Firefox: 'Firefox', Chrome: 'Chrome', Safari: 'Safari' }
const SYSTEMS = {
  iPhone: 'iPhone',
  iPad: 'iPad',
  Android: 'Android',
  Windows: 'Windows',
  'Mac OS X': 'Mac',
  Linux: 'Linux',
}
const PHONES = ['iPhone', 'Android']

/** A name that the owner of the device recognizes, such as `Safari on iPhone`, and its type. */
export function describeDevice(userAgent: string) {
  const browser = firstOf(BROWSERS, userAgent) ?? 'Browser'
  const system = firstOf(SYSTEMS, userAgent)
  return {
    name: system ? `${browser} on ${system}` : browser,
    type: system && PHONES.includes(system) ? 'phone' : 'desktop',
  }
}

function firstOf(names: Record<string, string>, text: string) {
  return Object.entries(names).find(([mark]) => text.includes(mark))?.[1]
}
