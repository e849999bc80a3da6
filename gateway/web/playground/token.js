// The token of a BWS call: a JSON Web Token that the client signs with its key (HS512).

const LIFETIME = 300;

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
const encoded = (value) => base64url(new TextEncoder().encode(JSON.stringify(value)));

/** A token of `client` that holds for five minutes. `key` is in base64. Rejects where it is not, or is empty. */
export async function bwsToken(client, key) {
  const bytes = Uint8Array.from(atob(key), (character) => character.charCodeAt(0));
  const signer = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-512' }, false, ['sign']);
  const now = Math.floor(Date.now() / 1000);
  const content = `${encoded({ alg: 'HS512', typ: 'JWT' })}.${encoded({ sub: client, aud: 'BWS', iat: now, exp: now + LIFETIME })}`;
  const signature = await crypto.subtle.sign('HMAC', signer, new TextEncoder().encode(content));
  return `${content}.${base64url(new Uint8Array(signature))}`;
}
