// A certificate authority for one test run.

import 'reflect-metadata' // @peculiar/x509 needs it
import { webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  cryptoProvider,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

cryptoProvider.set(webcrypto as Crypto)

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY = 24 * 3600 * 1000

/** The authority's certificate, and a function that signs certificates for hosts; all as PEM. */
export async function createAuthority(name: string) {
  const issuer = `CN=${name}`
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair
  const authority = await X509CertificateGenerator.createSelfSigned({
    name: issuer,
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - DAY),
    notAfter: new Date(Date.now() + DAY),
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  })

  async function sign(host: string, { notAfter = new Date(Date.now() + DAY) } = {}) {
    const own = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair
    const certificate = await X509CertificateGenerator.create({
      subject: `CN=${host}`,
      issuer,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - 2 * DAY),
      notAfter,
      extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: host }])],
    })
    const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', own.privateKey), 'PRIVATE KEY')
    return { certificate: certificate.toString('pem'), key }
  }

  return { certificate: authority.toString('pem'), sign }
}
