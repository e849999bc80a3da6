// Challenges, signatures and encryption against the vectors that other libraries made, and against node:crypto.

import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import test from 'node:test';

import { bytes, json } from './environment.mjs';
import { opened } from './jwe.mjs';
import { certificateKey, challenges, encryptMedia, FacelineError, sealMetadata, verifyParameters } from '../faceline.js';

const upload = json('upload.json');
const certificate = Buffer.from(upload.certificate, 'base64');

const refused = (code) => (error) => error instanceof FacelineError && error.code === code;

test('seeds give the challenges of the vectors', async () => {
  const vectors = json('challenges.json');
  assert.equal(vectors.length, 20);
  for (const { seed, challenges: expected } of vectors) {
    assert.deepEqual(await challenges(seed, 6), expected);
    assert.deepEqual(await challenges(seed, 2), expected.slice(0, 2));
  }
  assert.deepEqual(await challenges(0, 0), []);
});

test('media is encrypted to the bytes of the vectors', async () => {
  const { session, claims } = upload;
  const plain = Uint8Array.from({ length: upload.plaintext.length }, (_, index) => index % 251);
  const progress = [];
  const { media, digest } = await encryptMedia(plain, {
    session: session.toUpperCase(),
    id: claims.id,
    mediaKey: Buffer.from(claims.mediaKey, 'base64'),
    noncePrefix: Buffer.from(claims.noncePrefix, 'base64'),
    onProgress: (value) => progress.push(value),
  });
  assert.deepEqual(media, bytes('media.bin'));
  assert.equal(Buffer.from(digest).toString('base64'), claims.mediaDigest);
  assert.deepEqual(progress, [0.5, 1]);
});

test('every encryption has a key and a nonce of its own, and files of whole chunks and none have no empty chunk too many', async () => {
  const options = { session: upload.session, id: 'a' };
  const whole = new Blob([new Uint8Array(65536)]);
  const [first, second] = [await encryptMedia(whole, options), await encryptMedia(whole, options)];
  assert.notDeepEqual(first.mediaKey, second.mediaKey);
  assert.notDeepEqual(first.noncePrefix, second.noncePrefix);
  assert.deepEqual([first.mediaKey.length, first.noncePrefix.length, first.media.length], [32, 7, 65552]);
  assert.equal((await encryptMedia(new Uint8Array(), options)).media.length, 16);
  const signal = AbortSignal.abort();
  await assert.rejects(encryptMedia(whole, { ...options, signal }), refused('aborted'));
});

test('the key of a certificate is read, and nothing beyond its end', async () => {
  const { x, y, thumbprint } = await certificateKey(certificate);
  const jwk = createPublicKey(createPrivateKey({ key: Buffer.from(upload.privateKey, 'base64'), format: 'der', type: 'pkcs8' })).export({ format: 'jwk' });
  assert.deepEqual([Buffer.from(x).toString('base64url'), Buffer.from(y).toString('base64url')], [jwk.x, jwk.y]);
  assert.equal(thumbprint, createHash('sha256').update(certificate).digest('base64url'));
  for (let length = 0; length < certificate.length; length += 1) {
    await assert.rejects(certificateKey(certificate.subarray(0, length)), refused('protocol'));
  }
  // Whatever one byte becomes, the outcome is a key or the one error.
  for (let at = 0; at < certificate.length; at += 1) {
    for (const value of [0, 0x7f, 0x80, 0x82, 0xff]) {
      const changed = Uint8Array.from(certificate);
      changed[at] = value;
      await certificateKey(changed).catch((error) => assert.ok(refused('protocol')(error), error));
    }
  }
});

test('a key of another curve is refused', async () => {
  const p384 = Uint8Array.from(certificate);
  const at = Buffer.from(p384).indexOf(Buffer.from('2a8648ce3d030107', 'hex'));
  p384[at + 7] = 6;
  await assert.rejects(certificateKey(p384), refused('protocol'));
});

test('metadata opens to its claims, with a header of the four members', async () => {
  // The vector shows that the test itself opens what others have made.
  assert.deepEqual(opened(upload.metadata).claims, upload.claims);
  const { header, claims } = opened(await sealMetadata(upload.claims, upload.certificate));
  assert.deepEqual(claims, upload.claims);
  assert.deepEqual(Object.keys(header).sort(), ['alg', 'enc', 'epk', 'kid']);
  assert.deepEqual(Object.keys(header.epk).sort(), ['crv', 'kty', 'x', 'y']);
  assert.equal(header.kid, createHash('sha256').update(certificate).digest('base64url'));
  await assert.rejects(sealMetadata({ text: 'x'.repeat(13000) }, upload.certificate), refused('protocol'));
});

const KEYS = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

/** An answer with a signature, as the service makes it. */
function signed(answer, alg, { kid = alg, detached = false, key = alg } = {}) {
  const header = Buffer.from(JSON.stringify({ alg, kid })).toString('base64url');
  const payload = Buffer.from(JSON.stringify(answer)).toString('base64url');
  const value = sign('sha256', Buffer.from(`${header}.${payload}`), { key: KEYS[key].privateKey, dsaEncoding: 'ieee-p1363' });
  return { ...answer, signature: `${header}.${detached ? '' : payload}.${value.toString('base64url')}` };
}

test('only parameters that a known key has signed are trusted', async () => {
  const keys = Object.entries(KEYS).map(([kid, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' }));
  const answer = { id: 'réplay', seed: 7, certificates: ['a'], serverRandom: 'b' };
  for (const alg of ['ES256', 'RS256']) {
    for (const detached of [false, true]) {
      const parameters = signed(answer, alg, { detached });
      assert.equal(await verifyParameters(parameters, { keys }), parameters);
      assert.equal(await verifyParameters(parameters, keys.map(({ kid, ...key }) => key)), parameters);
      await assert.rejects(verifyParameters({ ...parameters, seed: 8 }, keys), refused('untrusted'));
      await assert.rejects(verifyParameters({ ...parameters, added: 8 }, keys), refused('untrusted'));
      await assert.rejects(verifyParameters(parameters, keys.filter(({ kid }) => kid !== alg)), refused('untrusted'));
    }
  }
  const other = alg => (alg === 'ES256' ? 'RS256' : 'ES256');
  for (const alg of ['ES256', 'RS256']) {
    // The header names another algorithm than its key's, and another key than the one that signed.
    await assert.rejects(verifyParameters(signed(answer, alg, { kid: other(alg) }), keys), refused('untrusted'));
    await assert.rejects(verifyParameters(signed(answer, alg, { key: other(alg) }), keys), refused('untrusted'));
  }
  for (const signature of [undefined, '', 'a.b', '..', 'a.b.c.d', '!.!.!', `${Buffer.from('{"alg":"none"}').toString('base64url')}..`]) {
    await assert.rejects(verifyParameters({ ...answer, signature }, keys), refused('untrusted'), String(signature));
  }
});
