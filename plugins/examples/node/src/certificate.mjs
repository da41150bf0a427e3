// The certificate that the connector makes at each start (HND-05).
import { randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const DAY = 24 * 3600 * 1000;

/** selfSigned returns a new key and its certificate: PEM for TLS, DER for the handshake line. */
export async function selfSigned(now = Date.now()) {
  x509.cryptoProvider.set(webcrypto);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const { digitalSignature, keyCertSign } = x509.KeyUsageFlags;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    // A first byte from 01 to 7f: a zero in front would not be minimal DER, and
    // the library's own random numbers sometimes have one.
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    notBefore: new Date(now - DAY / 24),
    notAfter: new Date(now + 3650 * DAY), // a process may run for years
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(digitalSignature | keyCertSign, true),
      new x509.ExtendedKeyUsageExtension([serverAuth, clientAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }]),
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const { raw } = new X509Certificate(certificate.toString('pem'));
  return { der: raw, certificate: pem('CERTIFICATE', raw), key: pem('PRIVATE KEY', key) };
}

function pem(kind, bytes) {
  const lines = bytes.toString('base64').match(/.{1,64}/g);
  return Buffer.from([`-----BEGIN ${kind}-----`, ...lines, `-----END ${kind}-----`, ''].join('\n'));
}
