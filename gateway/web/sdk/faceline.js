// Faceline's capture SDK: one ES module without dependencies and without a build step. faceline.d.ts documents its
// exports; docs/capture-client.md describes the protocol.

export const version = '0.1.0';

export class FacelineError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = 'FacelineError';
    // Browsers released before 2022 ignore the option `cause` of `Error`.
    if ('cause' in details) this.cause = details.cause;
    this.code = code;
    this.status = details.status;
    this.retryAfter = details.retryAfter;
  }
}

const aborted = () => new FacelineError('aborted', 'the capture was aborted');

// ---------------------------------------------------------------------------------------------------------------------- bytes

const utf8 = (text) => new TextEncoder().encode(text);

function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function uint32(value) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function base64(bytes) {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

const base64url = (bytes) => base64(bytes).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

/** Decodes base64 or base64url. */
function unbase64(text) {
  try {
    return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new FacelineError('protocol', 'a text is not base64', { cause });
  }
}

function random(length) {
  return globalThis.crypto.getRandomValues(new Uint8Array(length));
}

/** WebCrypto, which browsers withhold from pages without TLS. */
function subtle() {
  const found = globalThis.crypto?.subtle;
  if (found) return found;
  const secure = globalThis.isSecureContext !== false;
  throw new FacelineError(secure ? 'unsupported' : 'insecure-context', 'WebCrypto is missing: the page must be on https or on localhost');
}

async function sha256(bytes) {
  return new Uint8Array(await subtle().digest('SHA-256', bytes));
}

// ----------------------------------------------------------------------------------------------------------------- challenges

const DIRECTIONS = ['up', 'down', 'left', 'right'];
const MAX_CHALLENGES = 6;

/** @type {typeof import('./faceline.d.ts').challenges} */
export async function challenges(seed, count) {
  const digest = new DataView((await sha256(utf8(`faceline-challenge-1:${seed}`))).buffer);
  const sequence = [];
  while (sequence.length < Math.min(count, MAX_CHALLENGES)) {
    const allowed = DIRECTIONS.filter((direction) => direction !== sequence[sequence.length - 1]);
    sequence.push(allowed[digest.getUint32(4 * sequence.length) % allowed.length]);
  }
  return sequence;
}

// ----------------------------------------------------------------------------------------------------------------- signatures

/** The algorithm follows from the key; `alg` of the header must equal it. */
function algorithmOf(key) {
  if (key.kty === 'EC' && key.crv === 'P-256') return { jws: 'ES256', webCrypto: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } };
  if (key.kty === 'RSA') return { jws: 'RS256', webCrypto: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } };
  return undefined;
}

/** @type {typeof import('./faceline.d.ts').verifyParameters} */
export async function verifyParameters(parameters, keys) {
  const untrusted = (message, cause) => new FacelineError('untrusted', `the parameters cannot be trusted: ${message}`, { cause });
  const { signature, ...unsigned } = parameters;
  const [header, attached, value, ...rest] = String(signature).split('.');
  if (value === undefined || rest.length) throw untrusted('they have no signature');
  // JSON.stringify restores the text that was signed: members keep their order, and numbers are written as ECMAScript
  // does.
  const payload = base64url(utf8(JSON.stringify(unsigned)));
  if (attached && attached !== payload) throw untrusted('the signature is for something else');
  let alg;
  let kid;
  let signed;
  try {
    ({ alg, kid } = JSON.parse(new TextDecoder().decode(unbase64(header))));
    signed = unbase64(value);
  } catch (cause) {
    throw untrusted('the signature is damaged', cause);
  }
  const candidates = (Array.isArray(keys) ? keys : keys?.keys ?? []).filter((key) => !key.kid || key.kid === kid);
  for (const { kty, crv, x, y, n, e } of candidates) {
    const algorithm = algorithmOf({ kty, crv });
    if (algorithm?.jws !== alg) continue;
    // Leaves out `use`, `alg` and `key_ops`: browsers differ in how they check these against the intended usage.
    const jwk = kty === 'EC' ? { kty, crv, x, y } : { kty, n, e };
    const key = await subtle().importKey('jwk', jwk, algorithm.webCrypto, false, ['verify']);
    if (await subtle().verify(algorithm.webCrypto, key, signed, utf8(`${header}.${payload}`))) return parameters;
  }
  throw untrusted(candidates.length ? 'the signature is wrong' : 'no known key made the signature');
}

// --------------------------------------------------------------------------------------------------------------- certificates

const SEQUENCE = 0x30;
const VERSION = 0xa0;
const BIT_STRING = 0x03;
/** The DER of the algorithm of a P-256 key: `id-ecPublicKey` with `prime256v1`. */
const P256 = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/** Reads the elements of a DER value one after the other; none reaches beyond it. */
class DerReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  next(tag) {
    const { bytes } = this;
    let length = bytes[this.at + 1];
    let from = this.at + 2;
    if (length & 0x80) {
      // Certificates are far below 64 KiB, so lengths have one or two bytes.
      const count = length & 0x7f;
      if (count < 1 || count > 2) throw new FacelineError('protocol', 'the certificate is damaged');
      length = 0;
      while (from < this.at + 2 + count) length = length * 256 + bytes[from++];
    }
    if (bytes[this.at] !== tag || !(from + length <= bytes.length)) throw new FacelineError('protocol', 'the certificate is damaged');
    this.at = from + length;
    return bytes.subarray(from, this.at);
  }

  skip() {
    this.next(this.bytes[this.at]);
  }
}

/** @type {typeof import('./faceline.d.ts').certificateKey} */
export async function certificateKey(der) {
  const toBeSigned = new DerReader(new DerReader(new DerReader(der).next(SEQUENCE)).next(SEQUENCE));
  if (toBeSigned.bytes[0] === VERSION) toBeSigned.skip();
  // Serial number, signature algorithm, issuer, validity, subject.
  for (let skipped = 0; skipped < 5; skipped += 1) toBeSigned.skip();
  const publicKey = new DerReader(toBeSigned.next(SEQUENCE));
  const algorithm = publicKey.next(SEQUENCE);
  const point = publicKey.next(BIT_STRING);
  // A bit string without unused bits, with an uncompressed point.
  const isP256 = algorithm.length === P256.length && P256.every((byte, at) => algorithm[at] === byte);
  if (!isP256 || point.length !== 66 || point[0] !== 0 || point[1] !== 4) {
    throw new FacelineError('protocol', "the certificate's key is not of P-256");
  }
  return { x: point.slice(2, 34), y: point.slice(34), thumbprint: base64url(await sha256(der)) };
}

// ----------------------------------------------------------------------------------------------------------------- encryption

const CHUNK_BYTES = 65536;
const TAG_BYTES = 16;
const MAX_METADATA_BYTES = 16384;

/** @type {typeof import('./faceline.d.ts').encryptMedia} */
export async function encryptMedia(file, options) {
  const { session, id, mediaKey = random(32), noncePrefix = random(7), onProgress, signal } = options;
  const blob = file instanceof Blob ? file : new Blob([/** @type {BlobPart} */ (file)]);
  const key = await subtle().importKey('raw', mediaKey, 'AES-GCM', false, ['encrypt']);
  const additionalData = concat(utf8('faceline-media-1'), [0], utf8(session.toLowerCase()), [0], utf8(id));
  const chunks = Math.max(1, Math.ceil(blob.size / CHUNK_BYTES));
  const media = new Uint8Array(blob.size + TAG_BYTES * chunks);
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    if (signal?.aborted) throw aborted();
    const plain = await blob.slice(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES).arrayBuffer();
    const iv = concat(noncePrefix, uint32(chunk), [chunk === chunks - 1 ? 1 : 0]);
    const encrypted = await subtle().encrypt({ name: 'AES-GCM', iv, additionalData, tagLength: 8 * TAG_BYTES }, key, plain);
    media.set(new Uint8Array(encrypted), chunk * (CHUNK_BYTES + TAG_BYTES));
    onProgress?.((chunk + 1) / chunks);
  }
  return { media, mediaKey, noncePrefix, digest: await sha256(media) };
}

/** The key that wraps the content key: Concat KDF (RFC 7518, 4.6.2) with SHA-256, which is one block for 256 bits. */
async function agreedKey(shared) {
  const algorithm = utf8('ECDH-ES+A256KW');
  const otherInfo = concat(uint32(algorithm.length), algorithm, uint32(0), uint32(0), uint32(256));
  const key = await sha256(concat(uint32(1), shared, otherInfo));
  return subtle().importKey('raw', key, 'AES-KW', false, ['wrapKey']);
}

/** @type {typeof import('./faceline.d.ts').sealMetadata} */
export async function sealMetadata(claims, certificate) {
  const { x, y, thumbprint } = await certificateKey(unbase64(certificate));
  const curve = { name: 'ECDH', namedCurve: 'P-256' };
  const recipient = await subtle().importKey('raw', concat([4], x, y), curve, false, []);
  const ephemeral = await subtle().generateKey(curve, true, ['deriveBits']);
  const shared = await subtle().deriveBits({ name: 'ECDH', public: recipient }, ephemeral.privateKey, 256);
  const contentKey = await subtle().generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt']);
  const wrapped = await subtle().wrapKey('raw', contentKey, await agreedKey(new Uint8Array(shared)), 'AES-KW');
  const own = await subtle().exportKey('jwk', ephemeral.publicKey);
  const epk = { kty: 'EC', crv: 'P-256', x: own.x, y: own.y };
  const header = base64url(utf8(JSON.stringify({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', kid: thumbprint, epk })));
  const iv = random(12);
  const gcm = { name: 'AES-GCM', iv, additionalData: utf8(header), tagLength: 8 * TAG_BYTES };
  const sealed = new Uint8Array(await subtle().encrypt(gcm, contentKey, utf8(JSON.stringify(claims))));
  const parts = [new Uint8Array(wrapped), iv, sealed.subarray(0, -TAG_BYTES), sealed.subarray(-TAG_BYTES)];
  const jwe = [header, ...parts.map(base64url)].join('.');
  if (jwe.length > MAX_METADATA_BYTES) throw new FacelineError('protocol', `the metadata is longer than ${MAX_METADATA_BYTES} bytes`);
  return jwe;
}

// -------------------------------------------------------------------------------------------------------------------- requests

const FIRST_RETRY = 1000;
const LAST_RETRY = 30000;
const MAX_RETRY_AFTER = 300000;
/** Time limit for the answer to a GET request, in milliseconds. */
const ANSWER_TIMEOUT = 30000;

/** Waits; ends early when the device is online again, or with a rejection when the signal is aborted. */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(resolve), milliseconds);
    const online = () => end(resolve);
    const abort = () => end(reject, aborted());
    function end(settle, value) {
      clearTimeout(timer);
      globalThis.removeEventListener?.('online', online);
      signal?.removeEventListener('abort', abort);
      settle(value);
    }
    globalThis.addEventListener?.('online', online);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
  });
}

/** A connection on which nothing moves for this long, in milliseconds, is dead. */
const UPLOAD_STALL = 90000;

/**
 * Sends a request with XMLHttpRequest, which alone reports the progress of an upload. Resolves with `undefined` without
 * an answer.
 */
function sendWithProgress(method, url, { headers, body, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    // A mobile network may stop delivering without closing the connection.
    let stall;
    const moves = () => {
      clearTimeout(stall);
      stall = setTimeout(() => { resolve(undefined); abort(); }, UPLOAD_STALL);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => {
      moves();
      onProgress(total ? loaded / total : 0);
    };
    request.onload = () => {
      resolve({ status: request.status, text: request.responseText, retryAfter: request.getResponseHeader('Retry-After') });
    };
    request.onerror = () => resolve(undefined);
    request.onabort = () => reject(aborted());
    request.onloadend = () => {
      clearTimeout(stall);
      signal?.removeEventListener('abort', abort);
    };
    signal?.addEventListener('abort', abort);
    moves();
    request.send(body);
  });
}

/**
 * Sends a request with `fetch`. Resolves with `undefined` without an answer.
 * @param {typeof globalThis.fetch} fetch
 * @param {string} method
 * @param {string} url
 * @param {{ headers: Record<string, string>, body?: Blob, signal?: AbortSignal, onProgress?: (value: number) => void }} options
 */
async function sendWithFetch(fetch, method, url, { headers, body, signal, onProgress }) {
  try {
    onProgress?.(0);
    const answer = await fetch(url, { method, headers, body, signal, credentials: 'omit', cache: 'no-store' });
    const text = await answer.text();
    onProgress?.(1);
    return { status: answer.status, text, retryAfter: answer.headers.get('Retry-After') };
  } catch {
    if (signal?.aborted) throw aborted();
    return undefined;
  }
}

/** `Retry-After` in milliseconds, from seconds or a date; `undefined` where there is none. */
function retryDelay(answer) {
  const text = answer?.retryAfter;
  if (!text) return undefined;
  const delay = /^\d+$/.test(text) ? 1000 * Number(text) : Date.parse(text) - Date.now();
  return Number.isNaN(delay) ? undefined : Math.min(Math.max(delay, 0), MAX_RETRY_AFTER);
}

/** The service's error message, from the body of a refusal. */
function reasonOf({ status, text }) {
  try {
    const body = JSON.parse(text);
    const found = body.message ?? body.detail ?? body.error;
    if (typeof found === 'string') return found;
  } catch { /* The body is no JSON. */ }
  return `the service answered with status ${status}`;
}

/** Maps an answer to an error; `undefined` for success. `answer` is `undefined` if none arrived. */
function errorOf(answer) {
  if (!answer) return new FacelineError('offline', 'the service cannot be reached');
  const { status } = answer;
  if (status >= 200 && status < 300) return undefined;
  const delay = retryDelay(answer);
  const details = { status, retryAfter: delay === undefined ? undefined : Math.ceil(delay / 1000) };
  const code = (() => {
    if (status === 401 || status === 403) return 'refused';
    if (status === 404 || status === 410) return 'expired';
    if (status === 409) return delay === undefined ? 'expired' : 'overloaded';
    if (status === 413) return 'too-large';
    if (status === 429 || status === 503) return 'overloaded';
    if (status === 408 || status >= 500) return 'offline';
    return 'protocol';
  })();
  return new FacelineError(code, reasonOf(answer), details);
}

/**
 * Sends until an answer is final. Without an answer, and after 408 and 5xx, it retries after 1 s, 2 s, 4 s ... 30 s;
 * after 429, 503 and 409 as `Retry-After` says. Throws the last error at `deadline` (by `Date.now()`).
 * @typedef {{ status: number, text: string, retryAfter: string | null }} Answer
 * @param {() => Promise<Answer | undefined>} send
 * @param {{ deadline: number, signal?: AbortSignal, onWait?: (error: FacelineError, delay: number) => void }} limits
 */
async function persist(send, { deadline, signal, onWait }) {
  for (let backoff = FIRST_RETRY; ; backoff = Math.min(2 * backoff, LAST_RETRY)) {
    if (signal?.aborted) throw aborted();
    const answer = await send();
    const error = errorOf(answer);
    if (!error) return answer;
    if (error.code !== 'offline' && error.code !== 'overloaded') throw error;
    const isOffline = !answer && globalThis.navigator?.onLine === false;
    const remaining = deadline - Date.now();
    const delay = isOffline ? remaining : retryDelay(answer) ?? backoff;
    if (remaining <= 0 || (delay > remaining && !isOffline)) throw error;
    onWait?.(error, delay);
    await pause(delay, signal);
    if (isOffline) backoff = FIRST_RETRY / 2;
  }
}

/** The service's calls for one session. */
class Service {
  constructor({ baseUrl, session, captureToken, fetch: ownFetch }) {
    this.base = new URL(baseUrl, globalThis.document?.baseURI).href.replace(/\/+$/, '');
    this.session = session;
    this.headers = captureToken ? { 'X-Capture-Token': captureToken } : {};
    this.ownFetch = ownFetch;
  }

  /**
   * Sends one GET request; resolves with `undefined` if no answer arrives in time. `fetch` alone has only the system's
   * time limit, which is too long if the network drops packets silently.
   */
  async ask(path, headers, { deadline, signal }) {
    const fetch = this.ownFetch ?? globalThis.fetch.bind(globalThis);
    const ending = new AbortController();
    const end = () => ending.abort();
    // Browsers released before 2022 lack `AbortSignal.timeout`; there the system's time limit applies.
    const late = AbortSignal.timeout?.(Math.max(1, Math.min(ANSWER_TIMEOUT, deadline - Date.now())));
    const sources = [signal, late].filter(Boolean);
    for (const source of sources) source.addEventListener('abort', end);
    try {
      return await sendWithFetch(fetch, 'GET', this.base + path, { headers, signal: ending.signal });
    } catch (error) {
      if (signal?.aborted) throw error;
      return undefined;
    } finally {
      for (const source of sources) source.removeEventListener('abort', end);
    }
  }

  /** Resolves with the JSON of an answer. */
  async read(path, headers, limits) {
    const { text } = await persist(() => this.ask(path, headers, limits), limits);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new FacelineError('protocol', 'the answer is not JSON', { cause });
    }
  }

  ofSession(version, operation) {
    return `/bioserver-app/${version}/bio-sessions/${encodeURIComponent(this.session)}/${operation}`;
  }

  parameters(limits) {
    return this.read(this.ofSession('v2', 'liveness-parameters'), this.headers, limits);
  }

  status(limits) {
    return this.read(this.ofSession('v3', 'replay-liveness-metadata'), this.headers, limits);
  }

  keys(limits) {
    return this.read('/.well-known/jwks.json', {}, limits);
  }

  /**
   * @param {{ contentType: string, body: Blob }} body
   * @param {{ onProgress: (value: number) => void, deadline: number, signal: AbortSignal, onWait: (error: FacelineError, delay: number) => void }} options
   */
  upload({ contentType, body }, { onProgress, ...limits }) {
    const headers = { ...this.headers, 'Content-Type': contentType };
    const url = this.base + this.ofSession('v2', 'replay-liveness');
    const options = { headers, body, signal: limits.signal, onProgress };
    const canReport = !this.ownFetch && globalThis.XMLHttpRequest;
    const fetch = this.ownFetch ?? globalThis.fetch?.bind(globalThis);
    return persist(() => (canReport ? sendWithProgress('POST', url, options) : sendWithFetch(fetch, 'POST', url, options)), limits);
  }
}

/** The body of an upload: its two parts, metadata first. */
function multipart(metadata, media) {
  const boundary = `faceline-${base64url(random(18))}`;
  const part = (header) => `--${boundary}\r\nContent-Disposition: form-data; name=${header}\r\n\r\n`;
  const body = new Blob([
    part('"metadata"'), metadata, '\r\n',
    part('"media"\r\nContent-Type: application/octet-stream'), media, `\r\n--${boundary}--\r\n`,
  ]);
  return { contentType: `multipart/form-data; boundary=${boundary}`, body };
}

// --------------------------------------------------------------------------------------------------------------------- camera

/** @type {typeof import('./faceline.d.ts').cameras} */
export async function cameras() {
  const devices = await globalThis.navigator?.mediaDevices?.enumerateDevices() ?? [];
  return devices.filter(({ kind }) => kind === 'videoinput');
}

/** The error code and message for each error name of `getUserMedia`. */
const CAMERA_ERRORS = {
  NotAllowedError: ['camera-denied', 'the camera is not allowed'],
  SecurityError: ['camera-denied', 'the camera is not allowed on this page'],
  NotFoundError: ['camera-missing', 'there is no camera'],
  OverconstrainedError: ['camera-missing', 'no camera is as it was asked for'],
  NotReadableError: ['camera-busy', 'the camera is in use, or failed'],
  AbortError: ['camera-busy', 'the camera failed'],
};

/** @type {typeof import('./faceline.d.ts').openCamera} */
export async function openCamera({ deviceId, facingMode = 'user', width = 1280, height = 720 } = {}) {
  const devices = globalThis.navigator?.mediaDevices;
  if (!devices?.getUserMedia) {
    const secure = globalThis.isSecureContext !== false;
    throw new FacelineError(secure ? 'unsupported' : 'insecure-context', 'there is no access to cameras: the page must be on https or on localhost');
  }
  const source = deviceId ? { deviceId: { exact: deviceId } } : { facingMode };
  const video = { ...source, width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
  try {
    return await devices.getUserMedia({ video, audio: false });
  } catch (cause) {
    const [code, message] = CAMERA_ERRORS[cause.name] ?? ['camera-missing', 'the camera cannot be opened'];
    throw new FacelineError(code, message, { cause });
  }
}

/** VP8 first, since any device encodes it in real time. */
const RECORDING_TYPES = ['video/webm;codecs=vp8', 'video/mp4;codecs=avc1.42E01F', 'video/webm', 'video/mp4'];
/**
 * MP4 first in WebKit, which all browsers of iPhones use: iOS 18.4 and 18.5 record an upright phone on its side in WebM
 * (WebKit bug 290223), and iPhones encode H.264 in hardware, VP8 in software.
 */
const WEBKIT_RECORDING_TYPES = ['video/mp4;codecs=avc1.42E01F', 'video/mp4', 'video/webm;codecs=vp8', 'video/webm'];
const BITS_PER_SECOND = 4_000_000;

/** @type {typeof import('./faceline.d.ts').recordingType} */
export function recordingType() {
  const isWebKit = globalThis.navigator?.vendor?.startsWith('Apple');
  const types = isWebKit ? WEBKIT_RECORDING_TYPES : RECORDING_TYPES;
  return types.find((type) => globalThis.MediaRecorder?.isTypeSupported(type));
}

/** @returns {boolean} */
function isLive(stream) {
  return Boolean(stream?.getVideoTracks?.().some((track) => track.readyState === 'live'));
}

/**
 * If `requestVideoFrameCallback` reports no first frame within this time, in milliseconds, frames are polled: Safari
 * may report none for a video outside the page.
 */
const SILENCE_TIME = 500;

/**
 * Calls `onFrame` for every frame that the video shows, beginning with the present one, until the signal is aborted.
 */
function onEachFrame(video, onFrame, signal, isFirst = true) {
  if (signal?.aborted) return;
  if (!video.requestVideoFrameCallback) {
    pollFrames(video, onFrame, signal);
    return;
  }
  let silence;
  const handle = video.requestVideoFrameCallback(() => {
    clearTimeout(silence);
    signal?.removeEventListener('abort', cancel);
    onFrame();
    onEachFrame(video, onFrame, signal, false);
  });
  const cancel = () => {
    clearTimeout(silence);
    video.cancelVideoFrameCallback(handle);
  };
  signal?.addEventListener('abort', cancel, { once: true });
  if (isFirst) {
    silence = setTimeout(() => {
      signal?.removeEventListener('abort', cancel);
      cancel();
      pollFrames(video, onFrame, signal);
    }, SILENCE_TIME);
  }
}

function pollFrames(video, onFrame, signal) {
  let last = -1;
  const timer = setInterval(() => {
    if (video.readyState < 2 || video.currentTime === last) return;
    last = video.currentTime;
    onFrame();
  }, 33);
  signal?.addEventListener('abort', () => clearInterval(timer), { once: true });
}

/**
 * Calls back once the page has been visible for a time in milliseconds without interruption, unless the signal is
 * aborted first.
 */
function afterVisibleTime(callback, milliseconds, signal) {
  let timer;
  const wait = () => {
    clearTimeout(timer);
    if (!document.hidden && !signal.aborted) timer = setTimeout(callback, milliseconds);
  };
  document.addEventListener('visibilitychange', wait, { signal });
  signal.addEventListener('abort', () => clearTimeout(timer));
  wait();
}

/** A camera that shows no picture for so long, in milliseconds, does not work. */
const FIRST_FRAME_TIMEOUT = 10000;

/** Plays a camera. Rejects if it delivers no picture; `play` alone would wait without a time limit. */
async function play(video, signal) {
  const waiting = new AbortController();
  const end = () => waiting.abort();
  signal.addEventListener('abort', end);
  const late = new Promise((_, reject) => {
    const fail = () => reject(new FacelineError('camera-busy', 'the camera gives no picture'));
    afterVisibleTime(fail, FIRST_FRAME_TIMEOUT, waiting.signal);
  });
  try {
    await Promise.race([video.play(), late]);
  } finally {
    end();
  }
}

const STEADY_TIME = 800;
/** Bad framing for less than this time, in milliseconds, is ignored, so a single frame does not restart the wait. */
const FLICKER_TIME = 150;

/** Makes a function that reads a part of a video in another size, always with the same canvas. */
function scaler() {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  return (video, width, height, /** @type {[number, number, number, number]} */ part) => {
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.drawImage(video, ...part, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  };
}

/** @type {typeof import('./faceline.d.ts').watchFraming} */
export function watchFraming(video, onFraming, { rate = 15, steadyTime = STEADY_TIME, signal } = {}) {
  const picture = scaler();
  const closeUp = scaler();
  let previous;
  let goodSince;
  let goodAt;
  onEachFrame(video, () => {
    const time = performance.now();
    const { videoWidth, videoHeight } = video;
    // The factor 900 instead of 1000 tolerates jitter: otherwise every second frame of a 30 Hz camera could be skipped.
    if (!videoWidth || (previous && time - previous.time < 900 / rate)) return;
    const scale = ANALYSED_PIXELS / Math.max(videoWidth, videoHeight);
    const face = previous?.face;
    const detail = face && closeUp(video, DETAIL_PIXELS, Math.round(DETAIL_PIXELS * FACE_ASPECT),
      [face.x * videoWidth, face.y * videoHeight, face.width * videoWidth, face.height * videoHeight]);
    const small = picture(video, Math.max(1, Math.round(videoWidth * scale)), Math.max(1, Math.round(videoHeight * scale)), [0, 0, videoWidth, videoHeight]);
    const found = framing(small, previous, detail);
    if (found.hint === 'good') {
      goodSince ??= time;
      goodAt = time;
    } else if (time - goodAt > FLICKER_TIME) {
      goodSince = undefined;
    }
    const stability = goodSince === undefined ? 0 : Math.min(1, (goodAt - goodSince) / steadyTime);
    previous = Object.assign(found, { time, stability });
    onFraming(previous);
  }, signal);
}

// -------------------------------------------------------------------------------------------------------------------- capture

/** An event with a `detail`, as CustomEvent, which Node.js 18 lacks. */
class CaptureEvent extends Event {
  constructor(type, detail) {
    super(type);
    this.detail = detail;
  }
}

const UPLOAD_TIMEOUT = 280000;
const RESULT_TIMEOUT = 300000;
const POLL_INTERVAL = 1000;
const INIT_TIMEOUT = 15000;
const VIDEO_LENGTH = 3500;
/** How often a recording checks that frames come, in milliseconds. */
const FRAME_CHECK_INTERVAL = 250;
/**
 * A recording has stalled after this many checks without a frame: the service judges a frozen video as an attack.
 * Checks are counted instead of time, since a busy main thread delays them as it delays frames.
 */
const STALL_CHECKS = 6;
/** The same limit while the recorder starts or stops, which takes longer on some devices. */
const START_CHECKS = 20;
/** After this many checks without a frame, while the page is visible, the camera counts as not working. */
const FRAMING_CHECKS = FIRST_FRAME_TIMEOUT / FRAME_CHECK_INTERVAL;

// Lengths of the steps of a challenge, in milliseconds. A step lasts as long as its minimum at least, until the motion
// that it asks for was seen and has ended, and no longer than its maximum. The service accepts a turn up to 1 s after
// the next challenge was shown.
const NEUTRAL_POSE = { min: 1500, max: 1500 };
const TURN = { min: 2500, max: 7000 };
const AHEAD = { min: 1700, max: 3500 };
/** Motion counts from this multiple of the motion in the neutral pose, and from this change of luma, 0 to 255. */
const TURN_MOTION = { ratio: 2.5, luma: 3 };
const CALM_TIME = 400;

/**
 * Keeps the screen on until the signal is aborted, because a phone that locks closes its connections. Works on without
 * a wake lock.
 */
function keepScreenOn(signal) {
  const wakeLock = globalThis.navigator?.wakeLock;
  if (!wakeLock) return;
  const request = async () => {
    if (document.hidden || signal.aborted) return;
    try {
      const lock = await wakeLock.request('screen');
      if (signal.aborted) await lock.release();
      else signal.addEventListener('abort', () => lock.release());
    } catch { /* The policy of the frame or a low battery forbids it. */ }
  };
  // Browsers end the lock of a page that is hidden.
  document.addEventListener('visibilitychange', request, { signal });
  request();
}

export class Capture extends EventTarget {
  #service;
  #keys;
  #closing = new AbortController();
  #state = 'ready';
  #ownStream;
  #force;
  /** The encrypted body of each recording, so a retry sends the same bytes. */
  #sealed = new WeakMap();

  constructor(service, keys, parameters, directions) {
    super();
    this.#service = service;
    this.#keys = keys;
    this.session = service.session;
    this.parameters = parameters;
    this.challenges = directions;
  }

  get state() {
    return this.#state;
  }

  #emit(type, detail) {
    this.dispatchEvent(new CaptureEvent(type, detail));
  }

  #enter(state, details = {}) {
    this.#state = state;
    this.#emit('state', { state, ...details });
  }

  /**
   * Runs `work` until the caller's signal is aborted or `close` is called, and enters the state `failed` if it throws.
   */
  async #during(signal, work) {
    const controller = new AbortController();
    const abort = () => controller.abort();
    const signals = [this.#closing.signal, signal].filter(Boolean);
    for (const source of signals) {
      if (source.aborted) abort();
      source.addEventListener('abort', abort);
    }
    try {
      if (controller.signal.aborted) throw aborted();
      return await work(controller.signal);
    } catch (cause) {
      const error = cause instanceof FacelineError ? cause : new FacelineError('unsupported', String(cause?.message ?? cause), { cause });
      this.#enter('failed', { error });
      throw error;
    } finally {
      for (const source of signals) source.removeEventListener('abort', abort);
      abort();
    }
  }

  close() {
    this.#closing.abort();
    this.#stopOwn();
  }

  force() {
    this.#force?.();
  }

  /**
   * Calls a function of the caller with each `detail` of an event while `work` runs. As a listener, a function that
   * throws cannot end a capture's frames, or make an accepted upload look refused.
   */
  async #telling(type, callback, work) {
    const listener = (event) => callback(event.detail);
    if (callback) this.addEventListener(type, listener);
    try {
      return await work();
    } finally {
      this.removeEventListener(type, listener);
    }
  }

  /** @type {import('./faceline.d.ts').Capture['capture']} */
  capture(options = {}) {
    return this.#telling('hint', options.onHint, () => this.#capture(options));
  }

  /** @param {import('./faceline.d.ts').CaptureOptions} options */
  #capture(options) {
    return this.#during(options.signal, async (signal) => {
      const { type } = this.parameters;
      const mode = options.mode ?? (type === 'LIVENESS_PASSIVE' ? 'still' : 'video');
      if (mode === 'still' && type !== 'LIVENESS_PASSIVE') throw new FacelineError('unsupported', `${type} needs a video`);
      const recordsAs = recordingType();
      if (mode === 'video' && !recordsAs) throw new FacelineError('unsupported', 'the browser cannot record videos');
      const video = options.video ?? document.createElement('video');
      // A stream that has ended, for instance after the camera was unplugged, is not used again.
      const shown = isLive(video.srcObject) ? video.srcObject : undefined;
      const stream = options.stream ?? shown ?? await this.#openOwn();
      if (signal.aborted) throw aborted();
      if (video.srcObject !== stream) video.srcObject = stream;
      Object.assign(video, { muted: true, playsInline: true });
      const ended = new Promise((_, reject) => {
        const stopped = () => reject(new FacelineError('camera-busy', 'the camera stopped'));
        for (const track of stream.getVideoTracks()) {
          if (track.readyState === 'ended') stopped();
          track.addEventListener('ended', stopped, { signal });
        }
        signal.addEventListener('abort', () => reject(aborted()));
      });
      // Nothing may await this promise any more when the camera stops.
      ended.catch(() => {});
      const whole = (async () => {
        await play(video, signal);
        for (;;) {
          // The capture may have ended before the camera played.
          if (signal.aborted) throw aborted();
          this.#enter('framing');
          await this.#framed(video, options, signal);
          if (signal.aborted) throw aborted();
          this.#enter('recording');
          const recording = mode === 'still' ? await still(video) : await this.#record(video, stream, recordsAs, options, signal);
          // Without a recording it was interrupted: repeat from the framing.
          if (recording) return { ...recording, mirrored: options.mirrored ?? false, width: video.videoWidth, height: video.videoHeight };
        }
      })();
      const recording = await Promise.race([whole, ended]);
      this.#enter('recorded');
      return recording;
    });
  }

  async #openOwn() {
    this.#stopOwn();
    this.#ownStream = await openCamera();
    // `close` may have been called during the camera's permission prompt.
    if (this.#closing.signal.aborted) this.#stopOwn();
    return this.#ownStream;
  }

  #stopOwn() {
    for (const track of this.#ownStream?.getTracks() ?? []) track.stop();
  }

  /**
   * Resolves when the framing has been good for long enough, or `force` was called. Rejects if the camera gives no
   * frames.
   * @param {HTMLVideoElement} video
   * @param {import('./faceline.d.ts').CaptureOptions} options
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  #framed(video, { steadyTime, forceAfter }, signal) {
    return new Promise((resolve, reject) => {
      const watching = new AbortController();
      let isForced = false;
      const force = () => { isForced = true; };
      let checksLeft = FRAMING_CHECKS;
      const checks = setInterval(() => {
        if (!document.hidden) checksLeft -= 1;
        if (checksLeft > 0) return;
        reject(new FacelineError('camera-busy', 'the camera gives no picture'));
        end();
      }, FRAME_CHECK_INTERVAL);
      const end = () => {
        clearInterval(checks);
        this.#force = undefined;
        watching.abort();
        resolve();
      };
      if (signal.aborted) {
        end();
        return;
      }
      signal.addEventListener('abort', end);
      this.#force = force;
      if (forceAfter !== undefined) afterVisibleTime(force, forceAfter, watching.signal);
      watchFraming(video, (found) => {
        checksLeft = FRAMING_CHECKS;
        this.#emit('hint', found);
        // A forced capture also waits for a new frame: the last one of a hidden page or of a muted camera is out of
        // date.
        if ((isForced || found.stability === 1) && !document.hidden) end();
      }, { steadyTime, signal: watching.signal });
    });
  }

  /**
   * Records a video; resolves with `undefined` if it was interrupted: the page was hidden, the phone was turned, or no
   * frames came.
   * @param {HTMLVideoElement} video
   * @param {MediaStream} stream
   * @param {string} type
   * @param {import('./faceline.d.ts').CaptureOptions} options
   * @param {AbortSignal} signal
   */
  async #record(video, stream, type, { duration = VIDEO_LENGTH }, signal) {
    if (signal.aborted) throw aborted();
    const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: BITS_PER_SECOND });
    const pieces = [];
    const watching = new AbortController();
    const stop = () => watching.abort();
    const interrupted = new Promise((resolve) => {
      watching.signal.addEventListener('abort', () => resolve(false));
    });
    let checksLeft = START_CHECKS;
    const checks = setInterval(() => {
      checksLeft -= 1;
      if (checksLeft <= 0) stop();
    }, FRAME_CHECK_INTERVAL);
    signal.addEventListener('abort', stop);
    // Browsers stop the frames of a hidden page, and those of a camera that the person or another program has muted.
    document.addEventListener('visibilitychange', stop, { signal: watching.signal });
    for (const track of stream.getVideoTracks()) track.addEventListener('mute', stop, { signal: watching.signal });
    // The size changes when a phone is rotated, and the recording would change its format.
    video.addEventListener('resize', stop, { signal: watching.signal });
    try {
      recorder.ondataavailable = ({ data }) => pieces.push(data);
      const failed = new Promise((_, reject) => {
        recorder.onerror = ({ error }) => reject(new FacelineError('unsupported', 'the recording failed', { cause: error }));
      });
      const stopped = new Promise((resolve) => {
        recorder.onstop = () => resolve(true);
      });
      const started = new Promise((resolve) => {
        recorder.onstart = () => resolve(performance.now());
      });
      recorder.start(500);
      const start = await Promise.race([failed, started, stopped.then(() => false), interrupted]);
      if (signal.aborted) throw aborted();
      if (start === false || watching.signal.aborted) return undefined;
      checksLeft = STALL_CHECKS;
      const script = this.challenges.length ? new ChallengeScript(this.challenges) : undefined;
      const events = [];
      const finished = new Promise((resolve) => {
        watchFraming(video, (found) => {
          this.#emit('hint', found);
          const elapsed = found.time - start;
          const step = script?.next(elapsed, found.motion);
          if (step) {
            if (step.phase === 'turn') events.push({ challenge: step.index, shownAt: step.shownAt });
            this.#emit('challenge', step);
          }
          const value = script ? script.progress : Math.min(1, elapsed / duration);
          this.#emit('progress', { phase: 'recording', value });
          if (value === 1) resolve(true);
          else checksLeft = STALL_CHECKS;
        }, { signal: watching.signal });
      });
      const isWhole = await Promise.race([failed, finished, interrupted]);
      checksLeft = START_CHECKS;
      if (script && !signal.aborted) this.#emit('challenge', null);
      const length = performance.now() - start;
      if (recorder.state !== 'inactive') recorder.stop();
      // Frames no longer reset the checks, so the checks interrupt a recorder that never stops.
      const isWritten = isWhole && await Promise.race([failed, stopped, interrupted]);
      if (signal.aborted) throw aborted();
      if (!isWritten) return undefined;
      const contentType = type.split(';')[0];
      return { blob: new Blob(pieces, { type: contentType }), contentType, events, duration: length };
    } finally {
      clearInterval(checks);
      if (recorder.state !== 'inactive') recorder.stop();
      signal.removeEventListener('abort', stop);
      watching.abort();
    }
  }

  /** @type {import('./faceline.d.ts').Capture['upload']} */
  upload(recording, { onProgress, ...options } = {}) {
    const tell = onProgress && (({ phase, value }) => phase === 'uploading' && onProgress(value));
    return this.#telling('progress', tell, () => this.#upload(recording, options));
  }

  /**
   * @param {import('./faceline.d.ts').Recording | Blob} recording
   * @param {{ timeout?: number, signal?: AbortSignal }} options
   */
  #upload(recording, { timeout = UPLOAD_TIMEOUT, signal: callers }) {
    return this.#during(callers, async (signal) => {
      keepScreenOn(signal);
      const deadline = Date.now() + timeout;
      const onWait = (error, delay) => this.#enter('waiting', { reason: error.code, retryIn: Math.ceil(delay / 1000), error });
      const report = (value) => {
        if (this.#state === 'waiting') this.#enter('uploading');
        this.#emit('progress', { phase: 'uploading', value });
      };
      const send = async () => {
        const body = await this.#seal(recording, signal);
        this.#enter('uploading');
        await this.#service.upload(body, { deadline, signal, onWait, onProgress: report });
      };
      try {
        await send();
      } catch (error) {
        // The back end may have replaced the parameters: fetch them, and encrypt again, once.
        if (error.status !== 400 || !error.message.includes('does not open')) throw error;
        const { type, seed } = this.parameters;
        this.parameters = await verifyParameters(await this.#service.parameters({ deadline, signal }), this.#keys);
        if (type === 'LIVENESS_ACTIVE' && seed !== this.parameters.seed) {
          throw new FacelineError('expired', 'the challenges were replaced after the person had followed them', { cause: error });
        }
        this.#sealed.delete(recording);
        await send();
      }
      report(1);
      this.#enter('judging');
    });
  }

  async #seal(recording, signal) {
    const known = this.#sealed.get(recording);
    if (known) return known;
    this.#enter('encrypting');
    const file = recording instanceof Blob ? { blob: recording, contentType: recording.type, mirrored: false, events: [] } : recording;
    const { id, seed, serverRandom, certificates } = this.parameters;
    const onProgress = (value) => this.#emit('progress', { phase: 'encrypting', value });
    const { media, mediaKey, noncePrefix, digest } = await encryptMedia(file.blob, { session: this.session, id, onProgress, signal });
    const metadata = await sealMetadata({
      id, seed, serverRandom,
      mediaKey: base64(mediaKey), noncePrefix: base64(noncePrefix), mediaLength: media.length, mediaDigest: base64(digest),
      contentType: file.contentType, mirrored: file.mirrored, deviceInfo: deviceInfo(), sdkInfo: { sdkVersion: version },
      events: file.events.map(({ challenge, shownAt }) => ({ challenge, shownAt: Math.round(shownAt) })),
    }, certificates[0]);
    const body = multipart(metadata, media);
    this.#sealed.set(recording, body);
    return body;
  }

  /** @type {import('./faceline.d.ts').Capture['result']} */
  result({ pollInterval = POLL_INTERVAL, timeout = RESULT_TIMEOUT, signal: callers } = {}) {
    return this.#during(callers, async (signal) => {
      keepScreenOn(signal);
      const deadline = Date.now() + timeout;
      for (;;) {
        const result = await this.#service.status({ deadline, signal });
        if (result.status !== 'INITIALIZED' && result.status !== 'IN_PROGRESS') {
          this.#enter('done');
          return result;
        }
        if (Date.now() + pollInterval > deadline) throw new FacelineError('timeout', 'there is no result yet');
        await pause(pollInterval, signal);
      }
    });
  }
}

/** Times the steps of the challenges. */
class ChallengeScript {
  constructor(directions) {
    const count = directions.length;
    const ahead = (index) => ({ index, count, phase: 'ahead', direction: directions[Math.max(index, 0)], lasts: AHEAD });
    const turns = directions.flatMap((direction, index) => [{ index, count, phase: 'turn', direction, lasts: TURN }, ahead(index)]);
    this.steps = [{ ...ahead(-1), lasts: NEUTRAL_POSE }, ...turns];
    this.shown = -1;
    this.since = 0;
    this.neutralMotion = [];
    this.movedAt = undefined;
  }

  /**
   * The next step, if it is due at `elapsed` milliseconds after the first frame; `undefined` while the current one
   * lasts.
   */
  next(elapsed, motion) {
    if (this.shown < 1) this.neutralMotion.push(motion);
    else if (motion > this.threshold) this.movedAt = elapsed;
    if (this.shown >= 0 && !this.isOver(elapsed)) return undefined;
    this.shown += 1;
    if (this.shown === 1) {
      const median = this.neutralMotion.sort((a, b) => a - b)[this.neutralMotion.length >> 1];
      this.threshold = Math.max(TURN_MOTION.luma, TURN_MOTION.ratio * median);
    }
    this.since = elapsed;
    this.movedAt = undefined;
    const { lasts: _, ...step } = this.steps[this.shown] ?? {};
    return this.progress === 1 ? undefined : { ...step, shownAt: elapsed };
  }

  isOver(elapsed) {
    const { min, max } = this.steps[this.shown]?.lasts ?? AHEAD;
    const calm = this.movedAt !== undefined && elapsed - this.movedAt >= CALM_TIME;
    return elapsed - this.since >= (calm ? min : max);
  }

  get progress() {
    return Math.min(1, Math.max(0, this.shown) / this.steps.length);
  }
}

/** A picture of the present frame. */
async function still(video) {
  const canvas = Object.assign(document.createElement('canvas'), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext('2d').drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.95));
  if (!blob) throw new FacelineError('unsupported', 'the browser cannot write a picture');
  return { blob, contentType: 'image/jpeg', events: [], duration: 0 };
}

/** The device's data that the browser gives, for the metadata. */
function deviceInfo() {
  /** @type {any} Not all browsers have all members. */
  const navigator = globalThis.navigator ?? {};
  const { userAgentData, platform, userAgent } = navigator;
  const osType = userAgentData?.platform || platform;
  return Object.fromEntries(Object.entries({ osType, deviceModel: userAgent }).filter(([, text]) => text).map(([name, text]) => [name, text.slice(0, 200)]));
}

export async function init(options) {
  const service = new Service(options);
  subtle();
  warmUp();
  const limits = { deadline: Date.now() + INIT_TIMEOUT };
  const keys = options.keys ?? await service.keys(limits);
  const parameters = await verifyParameters(options.parameters ?? await service.parameters(limits), keys);
  const count = parameters.type === 'LIVENESS_ACTIVE' ? parameters.nbChallenge : 0;
  return new Capture(service, keys, parameters, await challenges(parameters.seed, count));
}

// -------------------------------------------------------------------------------------------------------------------- framing

/** Frames are analysed at this many pixels on their longer side, and a face's details at this many across its width. */
const ANALYSED_PIXELS = 64;
const DETAIL_PIXELS = 64;

// A ratio template locates the face without a model: hand-made rules of which regions of an upright face are brighter
// than others; a region's left, upper, right and lower side are fractions of a box around the face.
const REGIONS = [
  [0.14, 0.28, 0.42, 0.44], [0.58, 0.28, 0.86, 0.44], [0.14, 0.5, 0.38, 0.68], [0.62, 0.5, 0.86, 0.68], [0.43, 0.26, 0.57, 0.46],
  [0.22, 0.02, 0.78, 0.2], [0.38, 0.48, 0.62, 0.62], [0.3, 0.72, 0.7, 0.84], [0.34, 0.88, 0.66, 0.98],
];
const [LEFT_EYE, RIGHT_EYE, LEFT_CHEEK, RIGHT_CHEEK, BRIDGE, FOREHEAD, NOSE, MOUTH, CHIN] = REGIONS.keys();
/** Pairs of a brighter and a darker region, with their weight. */
const BRIGHTER = [
  [FOREHEAD, LEFT_EYE, 1], [FOREHEAD, RIGHT_EYE, 1], [BRIDGE, LEFT_EYE, 1], [BRIDGE, RIGHT_EYE, 1],
  [LEFT_CHEEK, LEFT_EYE, 1.2], [RIGHT_CHEEK, RIGHT_EYE, 1.2], [NOSE, LEFT_EYE, 0.6], [NOSE, RIGHT_EYE, 0.6],
  [NOSE, MOUTH, 0.8], [CHIN, MOUTH, 0.6], [LEFT_CHEEK, MOUTH, 0.4], [RIGHT_CHEEK, MOUTH, 0.4],
];
/** Height of the box over its width. */
const FACE_ASPECT = 1.4;
/** The first width of the box in pixels, the factor to the next, and how many positions it has per width. */
const FACE_SIZES = { first: 8, factor: 1.2, positions: 9 };
/**
 * Weights of skin colour, size of the box, difference between both sides, and nearness to the face of the frame before.
 */
const WEIGHTS = { skin: 4, size: 2, asymmetry: 1.2, continuity: 1 };
/** The lowest score of a face. On frames without a face the median is 4 to 8. */
const FACE_SCORE = 10;
/** Variance of luma below which a box has no structure. */
const MIN_VARIANCE = 60;

/** Likeness of a colour to skin, 0 to 1: the hue of skin lies between red and yellow at any brightness. */
function skinLikeness(red, green, blue, luma) {
  if (luma < 25 || red <= blue) return 0;
  const warmth = (0.713 * (red - luma) - 0.564 * (blue - luma)) / (luma + 20);
  return Math.max(0, Math.min(1, (warmth - 0.04) / 0.16)) * (warmth > 0.9 ? 0.3 : 1);
}

/** An integral image (summed-area tables): sums over the rectangles of a picture in constant time. */
class IntegralImage {
  constructor({ data, width, height }) {
    this.width = width;
    this.height = height;
    this.row = width + 1;
    const length = (width + 1) * (height + 1);
    this.luma = new Float64Array(length);
    this.squares = new Float64Array(length);
    this.skin = new Float64Array(length);
    this.pixels = new Uint8Array(width * height);
    for (let y = 0, at = 0; y < height; y += 1) {
      let [luma, squares, skin] = [0, 0, 0];
      for (let x = 0; x < width; x += 1, at += 1) {
        const [red, green, blue] = [data[4 * at], data[4 * at + 1], data[4 * at + 2]];
        const value = 0.299 * red + 0.587 * green + 0.114 * blue;
        this.pixels[at] = value;
        luma += value;
        squares += value * value;
        skin += skinLikeness(red, green, blue, value);
        const to = (y + 1) * this.row + x + 1;
        this.luma[to] = this.luma[to - this.row] + luma;
        this.squares[to] = this.squares[to - this.row] + squares;
        this.skin[to] = this.skin[to - this.row] + skin;
      }
    }
  }

  /** The mean over the part of a rectangle that is inside the picture; NaN if none is. */
  mean(table, left, top, right, bottom) {
    const { width, height, row } = this;
    if (left < 0) left = 0;
    if (top < 0) top = 0;
    if (right > width) right = width;
    if (bottom > height) bottom = height;
    if (right <= left || bottom <= top) return NaN;
    const sum = table[bottom * row + right] - table[top * row + right] - table[bottom * row + left] + table[top * row + left];
    return sum / ((right - left) * (bottom - top));
  }
}

/** The ratio template at one size of the box; `score` evaluates it at a position. */
class RatioTemplate {
  constructor(integral, size) {
    const [across, down] = [Math.round(size), Math.round(size * FACE_ASPECT)];
    const rectangle = (/** @type {number[]} */ [left, top, right, bottom]) => {
      const [x, y] = [Math.round(left * across), Math.round(top * down)];
      return [x, y, Math.max(x + 1, Math.round(right * across)), Math.max(y + 1, Math.round(bottom * down))];
    };
    this.integral = integral;
    this.size = size;
    this.across = across;
    this.down = down;
    this.regions = REGIONS.map(rectangle);
    // The skin of the face, and the areas beside and above it.
    this.inner = rectangle([0.15, 0.1, 0.85, 0.95]);
    this.outer = [[-0.25, 0, 0, 0.8], [1, 0, 1.25, 0.8], [0, -0.2, 1, -0.02]].map(rectangle);
    this.means = new Float64Array(REGIONS.length);
  }

  meanOf(table, x, y, box) {
    return this.integral.mean(table, x + box[0], y + box[1], x + box[2], y + box[3]);
  }

  /** The score of a position; -Infinity if it cannot be a face. */
  score(x, y, before) {
    const { integral, size, across, down, regions, means } = this;
    for (let region = 0; region <= RIGHT_CHEEK; region += 1) means[region] = this.meanOf(integral.luma, x, y, regions[region]);
    // Rejects most boxes early: neither cheek is brighter than the eye above it.
    if (means[LEFT_CHEEK] <= means[LEFT_EYE] && means[RIGHT_CHEEK] <= means[RIGHT_EYE]) return -Infinity;
    const mean = integral.mean(integral.luma, x, y, x + across, y + down);
    const variance = integral.mean(integral.squares, x, y, x + across, y + down) - mean * mean;
    if (variance < MIN_VARIANCE) return -Infinity;
    const deviation = Math.sqrt(variance);
    for (let region = BRIDGE; region <= CHIN; region += 1) means[region] = this.meanOf(integral.luma, x, y, regions[region]);
    let score = WEIGHTS.size * Math.log(size / 16);
    for (const [bright, dark, weight] of BRIGHTER) {
      score += weight * Math.max(-1, Math.min(1, 1.2 * (means[bright] - means[dark]) / deviation));
    }
    const asymmetry = Math.abs(means[LEFT_EYE] - means[RIGHT_EYE]) + 0.5 * Math.abs(means[LEFT_CHEEK] - means[RIGHT_CHEEK]);
    score -= WEIGHTS.asymmetry * Math.min(2, asymmetry / deviation);
    let outside = 0;
    let sides = 0;
    for (const box of this.outer) {
      const likeness = this.meanOf(integral.skin, x, y, box);
      if (likeness >= 0) {
        outside += likeness;
        sides += 1;
      }
    }
    score += WEIGHTS.skin * (3.2 * this.meanOf(integral.skin, x, y, this.inner) - (sides ? 2 * outside / sides : 0));
    if (before) {
      const distance = Math.hypot(x + across / 2 - before.x, y + down / 2 - before.y) / before.size;
      if (distance < 0.3 && Math.abs(Math.log(size / before.size)) < 0.25) score += WEIGHTS.continuity;
    }
    return score;
  }
}

/**
 * The best box of a face in pixels; `undefined` if none is good enough. A coarse search is refined around its best box.
 */
function locate(integral, before) {
  const { width, height } = integral;
  let best = { score: -Infinity };
  const search = (size, fromX, fromY, toX, toY, step) => {
    const template = new RatioTemplate(integral, size);
    const { across, down } = template;
    for (let y = Math.max(0, fromY); y <= Math.min(height - down, toY); y += step) {
      for (let x = Math.max(0, fromX); x <= Math.min(width - across, toX); x += step) {
        const score = template.score(x, y, before);
        if (score > best.score) best = { score, x, y, width: across, height: down, size, step };
      }
    }
  };
  for (let size = FACE_SIZES.first; size <= Math.min(width, height); size *= FACE_SIZES.factor) {
    search(size, 0, 0, width, height, Math.max(1, Math.round(size / FACE_SIZES.positions)));
  }
  const { x, y, size, step } = best;
  if (best.score === -Infinity) return undefined;
  for (const factor of [0.9, 1, 1.1]) search(size * factor, x - step, y - step, x + step, y + step, Math.max(1, step >> 1));
  return best.score >= FACE_SCORE ? best : undefined;
}

/**
 * The ratio of the mean fine to the mean coarse gradient of luma in a picture of a face: 0.25 if blurred, about 0.5 and
 * more for noise.
 */
function fineness({ data, width, height }) {
  const luma = (x, y) => 0.299 * data[4 * (y * width + x)] + 0.587 * data[4 * (y * width + x) + 1] + 0.114 * data[4 * (y * width + x) + 2];
  let [fine, coarse] = [0, 0];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x + 4 < width; x += 1) {
      const here = luma(x, y);
      fine += Math.abs(luma(x + 1, y) - here);
      coarse += Math.abs(luma(x + 4, y) - here);
    }
  }
  return coarse ? fine / coarse : 0;
}

// Bounds of a good frame. Sizes are the face's width over the frame's shorter side, offsets are fractions of the frame,
// light is mean luma, 0 to 255, white is the share of saturated pixels, motion is the mean change of luma from frame to
// frame. They lie inside the service's bounds.
const BOUNDS = {
  size: [0.24, 0.78], height: 0.9, offset: { x: 0.2, y: 0.22 }, light: [50, 215], white: 0.35, motion: 7, sharpness: 0.27,
};
/** The lowest luma of a saturated pixel. */
const WHITE = 250;
/**
 * Hysteresis: the factor by which a frame may exceed the bounds while the hint is `good`, so the hint does not flicker.
 */
const TOLERANCE = 1.15;

/** The luma of analysed frames, for the motion of the next one. */
const lumaOf = new WeakMap();

/** @type {typeof import('./faceline.d.ts').framing} */
export function framing(image, previous, detail) {
  const { width, height } = image;
  const shorter = Math.min(width, height);
  const integral = new IntegralImage(image);
  const last = previous?.face;
  const before = last && { x: (last.x + last.width / 2) * width, y: (last.y + last.height / 2) * height, size: last.width * width };
  const found = locate(integral, before);
  let face = null;
  if (found) {
    face = { x: found.x / width, y: found.y / height, width: found.width / width, height: found.height / height };
    // Boxes jitter by a pixel or two of the small picture, so they are averaged with the box of the frame before.
    if (last && Math.abs(face.x - last.x) < face.width / 2 && Math.abs(face.y - last.y) < face.height / 2) {
      for (const side of Object.keys(face)) face[side] = (face[side] + last[side]) / 2;
    }
  }
  const [left, top, right, bottom] = found
    ? [found.x, found.y, found.x + found.width, found.y + found.height]
    : [0.25 * width, 0.2 * height, 0.75 * width, 0.8 * height].map(Math.round);
  const brightness = integral.mean(integral.luma, left, top, right, bottom);
  const white = shareOfWhite(integral, left, top, right, bottom);
  const known = lumaOf.get(previous);
  const pixels = known?.length === integral.pixels.length ? known : integral.pixels;
  const motion = integral.pixels.reduce((sum, luma, at) => sum + Math.abs(luma - pixels[at]), 0) / pixels.length;
  const offset = face ? { x: face.x + face.width / 2 - 0.5, y: face.y + face.height / 2 - 0.5 } : { x: 0, y: 0 };
  /** @type {import('./faceline.d.ts').Framing} */
  const answer = { hint: 'good', face, offset, brightness, sharpness: detail ? fineness(detail) : 1, motion, stability: 0, time: 0 };
  answer.hint = hintOf(answer, white, face ? face.width * width / shorter : 0, previous?.hint === 'good' ? TOLERANCE : 1);
  lumaOf.set(answer, integral.pixels);
  return answer;
}

/** The share of saturated (overexposed) pixels in a rectangle. */
function shareOfWhite({ pixels, width }, left, top, right, bottom) {
  let white = 0;
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) if (pixels[y * width + x] >= WHITE) white += 1;
  }
  return white / ((right - left) * (bottom - top));
}

/** Makes the browser compile the analysis of frames before the camera is shown, so the first hint is not delayed. */
function warmUp() {
  const [width, height] = [ANALYSED_PIXELS, 48];
  const data = new Uint8ClampedArray(4 * width * height).map((_, at) => (at * 7919) % 251);
  for (let frames = 0; frames < 2; frames += 1) framing({ data, width, height });
}

function hintOf({ face, offset, brightness, sharpness, motion }, white, size, tolerance) {
  if (brightness < BOUNDS.light[0] / tolerance) return 'too-dark';
  if (brightness > BOUNDS.light[1] * tolerance || white > BOUNDS.white * tolerance) return 'too-bright';
  if (!face) return 'no-face';
  if (size < BOUNDS.size[0] / tolerance) return 'too-far';
  if (size > BOUNDS.size[1] * tolerance || face.height > BOUNDS.height * tolerance) return 'too-close';
  if (Math.abs(offset.x) > BOUNDS.offset.x * tolerance || Math.abs(offset.y) > BOUNDS.offset.y * tolerance) return 'off-centre';
  if (motion > BOUNDS.motion * tolerance) return 'hold-still';
  return sharpness < BOUNDS.sharpness / tolerance ? 'blurred' : 'good';
}
