// Opens what devices encrypt, with the private key of the vectors and node:crypto alone.

import { createDecipheriv, createHash, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';

import { json } from './environment.mjs';

const key = Buffer.from(json('upload.json').privateKey, 'base64');

/** The header and the claims of a JWE. */
export function opened(jwe) {
  const [header, wrapped, iv, ciphertext, tag] = jwe.split('.');
  const raw = (text) => Buffer.from(text, 'base64url');
  const { epk, ...rest } = JSON.parse(raw(header));
  const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  const shared = diffieHellman({ privateKey, publicKey: createPublicKey({ key: epk, format: 'jwk' }) });
  const uint32 = (value) => Buffer.from([0, 0, value >> 8, value & 255]);
  const algorithm = Buffer.from(rest.alg);
  const derived = createHash('sha256')
    .update(Buffer.concat([uint32(1), shared, uint32(algorithm.length), algorithm, uint32(0), uint32(0), uint32(256)])).digest();
  const unwrap = createDecipheriv('id-aes256-wrap', derived, Buffer.alloc(8, 0xa6));
  const contentKey = Buffer.concat([unwrap.update(raw(wrapped)), unwrap.final()]);
  const cipher = createDecipheriv('aes-256-gcm', contentKey, raw(iv)).setAAD(Buffer.from(header)).setAuthTag(raw(tag));
  return { header: { epk, ...rest }, claims: JSON.parse(Buffer.concat([cipher.update(raw(ciphertext)), cipher.final()])) };
}
