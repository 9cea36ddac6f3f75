import { SessionProvider } from 'next-auth/react'
import type { ReactNode } from 'react'
import { SessionStatus } from '@/components/session-status'

/**
 * A template is made anew where a layout stays, so the provider asks who is signed in whenever one comes to another
 * page: also after the sign-in, which is a server action and tells the provider nothing.
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
