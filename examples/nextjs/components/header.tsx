import type { ReactNode } from 'react'
import { Brand } from '@/components/brand'

export function Header({ name, children }: { name: string; children?: ReactNode }) {
  return (
    <header className="header">
      <Brand />
      {children}
      <span className="user">
        <span className="avatar" aria-hidden>
          {initials(name)}
        </span>
        <span className="user-name">{name}</span>
      </span>
    </header>
  )
}

function initials(name: string) {
  return name
    .split(' ')
    .map((word) => word[0])
    .join('')
}
