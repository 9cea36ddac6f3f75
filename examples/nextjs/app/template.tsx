import { SessionProvider } from 'next-auth/react'
import type { ReactNode } from 'react'
import { SessionStatus } from '@/components/session-status'

/**
 * A template, unlike a layout, is mounted again for each page, so the provider fetches the session on each navigation. That
 * includes the one after the sign-in: a server action, which doesn't notify the provider.
 */
export default function Template({ children }: { children: ReactNode }) {
  return (
    <SessionProvider>
      {children}
      <footer className="footer">
        <span>authjs-bridge example</span>
        <SessionStatus />
      </footer>
    </SessionProvider>
  )
}
