// The back end of the page in this folder, in the style of a service provider of the original service: it holds the API key, creates sessions,
// reads results and compares faces. No request of the page itself has a key.
//   node backend.mjs PORT BIOSERVER_VIDEO_URL [CORE_URL [CALLBACK_URL]]
// The key is in the environment, as APIKEY. Prints the address once it listens.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';

const [port, videoUrl, coreUrl = `${videoUrl}/bioserver-app/v2`, callbackURL] = process.argv.slice(2);
const apikey = process.env.APIKEY;
const video = `${videoUrl}/video-server`;
const MAX_BODY_BYTES = 8 << 20;
/** Sessions whose results the service has announced. */
const announced = new Set();

async function call(url, options = {}) {
  const answer = await fetch(url, { ...options, headers: { ...options.headers, apikey } });
  if (!answer.ok) throw Object.assign(new Error(`${url} answered with ${answer.status}`), { status: answer.status });
  return answer;
}

async function bodyOf(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > MAX_BODY_BYTES) throw Object.assign(new Error('too long'), { status: 413 });
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

async function initSession({ searchParams }) {
  const asked = {
    livenessMode: searchParams.get('mode'),
    numberOfChallenge: 2,
    securityLevel: searchParams.get('level') ?? 'HIGH',
    correlationId: 'original-style',
    ageThreshold: searchParams.get('ageThreshold') ?? '18',
    callbackURL,
  };
  const headers = { 'Content-Type': 'application/json' };
  const answer = await call(`${video}/init-liveness-session`, { method: 'POST', headers, body: JSON.stringify(asked) });
  return { sessionId: answer.headers.get('location').split('/bio-sessions/')[1] };
}

const session = (id) => `${coreUrl}/bio-sessions/${encodeURIComponent(id)}`;

/** The page's requests: a method, a pattern of the path, and what answers it. */
const ROUTES = [
  ['GET', /^\/demo-server\/capabilities$/, async () => (await call(`${video}/v2/capabilities`)).json()],
  ['GET', /^\/demo-server\/init-liveness-session$/, (url) => initSession(url)],
  ['GET', /^\/demo-server\/liveness-challenge-result\/([^/]+)$/, async (_url, id) => {
    const result = await (await call(`${session(id)}/liveness-challenge-result`)).json();
    return { ...result, announced: announced.has(id) };
  }],
  ['POST', /^\/demo-server\/bio-session\/([^/]+)\/faces$/, async (_url, id, request) => {
    const form = new FormData();
    form.append('face', new Blob([JSON.stringify({ imageType: 'SELFIE', friendlyName: 'reference' })], { type: 'application/json' }));
    form.append('image', new Blob([await bodyOf(request)]), 'reference.jpg');
    const created = await call(`${session(id)}/faces`, { method: 'POST', body: form });
    return { id: created.headers.get('location').split('/faces/')[1] };
  }],
  ['GET', /^\/demo-server\/bio-session\/([^/]+)\/faces\/([^/]+)$/, async (_url, id, _request, face) =>
    (await call(`${session(id)}/faces/${face}`)).json()],
  ['GET', /^\/demo-server\/bio-session\/([^/]+)\/faces\/([^/]+)\/image$/, async (_url, id, _request, face) =>
    Buffer.from(await (await call(`${session(id)}/faces/${face}/image`)).arrayBuffer())],
  ['GET', /^\/demo-server\/bio-session\/([^/]+)\/faces\/([^/]+)\/matches$/, async (_url, id, _request, face) =>
    (await call(`${session(id)}/faces/${face}/matches`)).json()],
  ['POST', /^\/demo-server\/liveness-result-callback$/, async (_url, _id, request) => {
    announced.add(JSON.parse(await bodyOf(request)).sessionId);
  }],
];
const FILES = { '/': ['index.html', 'text/html'], '/page.js': ['page.js', 'text/javascript'] };

async function answer(request, url) {
  const file = FILES[url.pathname];
  if (file) {
    const text = await readFile(new URL(file[0], import.meta.url), 'utf8');
    return [200, file[1], text.replaceAll('{{BIOSERVER_VIDEO_URL}}', videoUrl)];
  }
  for (const [method, pattern, handle] of ROUTES) {
    const found = request.method === method && pattern.exec(url.pathname);
    if (!found) continue;
    const body = await handle(url, found[1], request, found[2]);
    if (body === undefined) return [204, 'text/plain', ''];
    return Buffer.isBuffer(body) ? [200, 'image/jpeg', body] : [200, 'application/json', JSON.stringify(body)];
  }
  return [404, 'text/plain', 'not found'];
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const [status, type, body] = await answer(request, url).catch((error) => [error.status ?? 500, 'text/plain', String(error)]);
  response.writeHead(status, {
    'Content-Type': type,
    // As pages of the original service have them: other origins' scripts load only with CORP.
    'Cross-Origin-Embedder-Policy': 'require-corp',
    'Cross-Origin-Opener-Policy': 'same-origin',
  });
  response.end(body);
});
server.listen(Number(port), '127.0.0.1', () => console.log(`http://localhost:${server.address().port}`));
