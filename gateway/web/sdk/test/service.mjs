// A service that answers a session's calls as a test says, with parameters that it signs for the certificate of the
// vectors.

import { createServer } from 'node:http';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';

import { json } from './environment.mjs';

const { certificate } = json('upload.json');

export const SESSION = '7b4e38f6-de53-4dd5-a8b8-985833f771d2';

export class Service {
  /**
   * Answers to uploads and to questions for the status, first ones first: `{ status, headers, body }`, `'broken'` for a
   * broken connection, or `'silent'` for one on which nothing comes.
   */
  uploads = [];
  statuses = [];
  /** What arrived: `path`, `headers` and, for uploads, `digest` of the media and `metadata`. */
  requests = [];
  parametersMade = 0;
  type = 'LIVENESS_PASSIVE_VIDEO';

  static async start() {
    const service = new Service();
    service.pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    service.server = createServer((request, response) => service.answer(request, response));
    await once(service.server.listen(0, '127.0.0.1'), 'listening');
    service.url = `http://127.0.0.1:${service.server.address().port}`;
    return service;
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  parameters() {
    this.parametersMade += 1;
    const answer = {
      id: `replay-${this.parametersMade}`, type: this.type, securityLevel: 'HIGH', nbChallenge: this.type === 'LIVENESS_ACTIVE' ? 3 : undefined,
      seed: this.seed ?? 0, certificates: [certificate], serverRandom: Buffer.alloc(32).toString('base64'),
    };
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${encode({ alg: 'ES256', kid: 'k' })}.${encode(answer)}`;
    const value = sign('sha256', Buffer.from(signed), { key: this.pair.privateKey, dsaEncoding: 'ieee-p1363' });
    return { ...answer, signature: `${signed}.${value.toString('base64url')}` };
  }

  async answer(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const seen = { path: request.url, headers: request.headers, body: Buffer.concat(pieces) };
    this.requests.push(seen);
    const answer = await this.answerTo(seen, request.socket);
    if (answer === 'silent' || request.socket.destroyed) return;
    const { status = 200, headers = {}, body = '' } = answer ?? {};
    response.writeHead(status, headers);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  answerTo({ path, body, ...seen }, socket) {
    const scripted = (answers, last) => {
      const next = answers.shift() ?? last;
      if (next === 'broken') socket.destroy();
      return next === 'broken' ? undefined : next;
    };
    if (path === '/.well-known/jwks.json') {
      return { body: { keys: [{ ...this.pair.publicKey.export({ format: 'jwk' }), kid: 'k' }] } };
    }
    if (path === `/bioserver-app/v2/bio-sessions/${SESSION}/liveness-parameters`) return { body: this.parameters() };
    if (path === `/bioserver-app/v3/bio-sessions/${SESSION}/replay-liveness-metadata`) {
      return scripted(this.statuses, { body: { id: 'a', status: 'SUCCESS' } });
    }
    if (path === `/bioserver-app/v2/bio-sessions/${SESSION}/replay-liveness`) return scripted(this.uploads, { status: 202 });
    return { status: 404 };
  }

  /** The uploads that arrived: the SHA-256 of each body, and its two parts. */
  get received() {
    return this.requests.filter(({ path }) => path.endsWith('/replay-liveness')).map(({ headers, body }) => {
      const [, boundary] = /^multipart\/form-data; boundary=(.+)$/.exec(headers['content-type']);
      const text = body.toString('latin1');
      const parts = text.split(`--${boundary}`).slice(1, -1).map((part) => {
        const [head, ...rest] = part.slice(2, -2).split('\r\n\r\n');
        return { head, content: Buffer.from(rest.join('\r\n\r\n'), 'latin1') };
      });
      return { digest: createHash('sha256').update(body).digest('hex'), parts, headers };
    });
  }
}
