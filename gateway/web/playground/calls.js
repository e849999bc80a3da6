// The calls of the playground. Each takes its input, shows its exchanges in views that `view()` gives, and resolves
// with a summary: `{tone, key, values}`, where `key` names a text.

import { init } from '../sdk/faceline.js';
import { SERVICE } from '../capture/entry.js';
import { addressOf, formField, perform, quoted } from './exchange.js';
import { bwsToken } from './token.js';

const BIOMETRIC = 'bioserver-app/v2';
// The score with a false acceptance rate of 1 in 10,000.
const MATCH_SCORE = 3500;

const address = (path) => quoted(addressOf(path).href);
const APIKEY = '-H "apikey: $APIKEY"';

/** The summary of an answer that is not a success. */
function refusal({ status, headers }) {
  return { tone: 'bad', key: status === 401 ? 'answers.credentials' : 'answers.refused', values: { status, seconds: headers.get('Retry-After') } };
}

/** A form, and the curl line that sends it. */
function formCall(path, fields, apikey) {
  const form = new FormData();
  const options = fields.map(([name, value]) => {
    form.append(name, value);
    return `-F ${quoted(formField(name, value))}`;
  });
  const curl = `curl -s ${address(path)} ${APIKEY} \\\n  ${options.join(' \\\n  ')}`;
  return [{ method: 'POST', path, headers: { apikey }, body: form }, curl];
}

export async function match({ pictures, keys, view }) {
  const fields = [
    ['referenceImage', pictures.reference], ['referenceImageType', 'SELFIE'],
    ['candidateImage', pictures.candidate], ['candidateImageType', 'SELFIE'],
  ];
  const [call, curl] = formCall(`${BIOMETRIC}/match/images`, fields, keys.apikey);
  const answer = await perform(call, view(), curl);
  if (answer.status !== 200) return refusal(answer);
  const { score, falseAcceptanceRate } = JSON.parse(answer.body);
  const isSame = score >= MATCH_SCORE;
  const values = { score: Math.round(score), rate: falseAcceptanceRate.toPrecision(2) };
  return { tone: isSame ? 'good' : 'notice', key: isSame ? 'match.same' : 'match.different', values };
}

export async function age({ pictures, fields, keys, view }) {
  const [call, curl] = formCall(`${BIOMETRIC}/ages`, [['image', pictures.image], ['threshold', fields.threshold]], keys.apikey);
  const answer = await perform(call, view(), curl);
  if (answer.status !== 200) return refusal(answer);
  const { ageEstimated, aboveThreshold, threshold } = JSON.parse(answer.body);
  if (ageEstimated === undefined) return { tone: 'notice', key: 'age.none' };
  return { tone: 'good', key: aboveThreshold ? 'age.above' : 'age.below', values: { age: ageEstimated, threshold } };
}

/** A file in base64. */
async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const pieces = [];
  for (let at = 0; at < bytes.length; at += 0x8000) pieces.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
  return btoa(pieces.join(''));
}

export async function verify({ pictures, fields, keys, view }) {
  const live = [pictures.live1, pictures.live2].filter(Boolean);
  const disableLivenessDetection = fields.disableLivenessDetection === 'on';
  const [photo, ...images] = await Promise.all([pictures.photo, ...live].map(base64));
  const body = { photo, liveImages: images.map((image) => ({ image })), disableLivenessDetection };
  // Pictures are too long for arguments, so jq reads them from files (bash).
  const files = [['photo', pictures.photo], ...live.map((file, index) => [`live${index + 1}`, file])];
  const reads = files.map(([name, file]) => `--rawfile ${name} <(base64 < ${quoted(file.name)} | tr -d '\\n')`).join(' ');
  const listed = live.map((_, index) => `{image: $live${index + 1}}`).join(', ');
  const path = 'api/v1/photoverify';
  const curl = `jq -n ${reads} \\\n  '{photo: $photo, liveImages: [${listed}], disableLivenessDetection: ${disableLivenessDetection}}' |\n`
    + `  curl -s ${address(path)} -H "Authorization: Bearer $BWS_TOKEN" -H 'Content-Type: application/json' -d @-`;
  if (!isSecureContext) return { tone: 'bad', key: 'keys.insecure' };
  let token;
  try {
    token = await bwsToken(keys.client, keys.bws);
  } catch {
    return { tone: 'bad', key: 'keys.malformed' };
  }
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  const answer = await perform({ method: 'POST', path, headers, body: JSON.stringify(body) }, view(), curl);
  if (answer.status !== 200) return refusal(answer);
  const { verificationLevel, live: isLive } = JSON.parse(answer.body);
  const values = { level: verificationLevel };
  if (!isLive && !disableLivenessDetection) return { tone: 'bad', key: 'verify.not_live', values };
  const isSame = verificationLevel !== 'NOT_RECOGNIZED';
  return { tone: isSame ? 'good' : 'notice', key: isSame ? 'verify.same' : 'verify.different', values };
}

/** A `fetch` for the SDK that shows its calls; repeated calls to one address are shown once. */
function shownFetch(view) {
  const views = new Map();
  return async (url, options = {}) => {
    const path = String(url).slice(SERVICE.href.length);
    const method = options.method ?? 'GET';
    const call = { method, path, headers: Object.fromEntries(new Headers(options.headers)), body: options.body };
    if (!views.has(path)) views.set(path, view());
    const shown = views.get(path);
    const token = call.headers['x-capture-token'] ? ' -H "X-Capture-Token: $CAPTURE_TOKEN"' : '';
    // curl cannot encrypt an upload, so no line is shown.
    shown.request(call, method === 'GET' ? `curl -s ${address(path)}${token}` : undefined);
    const began = performance.now();
    try {
      const answer = await fetch(url, options);
      shown.answer({ status: answer.status, headers: answer.headers, body: await answer.clone().text(), time: performance.now() - began });
      return answer;
    } catch (error) {
      shown.failed(error.message);
      throw error;
    }
  };
}

/** A JSON call with the API key, and its curl line. */
function jsonCall(path, value, apikey) {
  const body = JSON.stringify(value);
  const headers = { apikey, 'Content-Type': 'application/json' };
  const curl = `curl -s -D - ${address(path)} ${APIKEY} -H 'Content-Type: application/json' \\\n  -d ${quoted(body)}`;
  return [{ method: 'POST', path, headers, body }, curl];
}

export async function replay({ fields, keys, view, onProgress }) {
  const { file, type, securityLevel, mirrored } = fields;
  const [create, createCurl] = jsonCall(`${BIOMETRIC}/bio-sessions`, {}, keys.apikey);
  const created = await perform(create, view(), createCurl);
  if (created.status !== 201) return refusal(created);
  const session = created.headers.get('Location').split('/').pop();
  const wanted = [{ type, securityLevel, imageRetrievalDisabled: false }];
  const [initialise, initialiseCurl] = jsonCall(`${BIOMETRIC}/bio-sessions/${session}/init-liveness-parameters`, wanted, keys.apikey);
  const initialised = await perform(initialise, view(), initialiseCurl);
  if (initialised.status !== 200) return refusal(initialised);
  const captureToken = initialised.headers.get('X-Capture-Token');
  const parameters = JSON.parse(initialised.body);
  try {
    const capture = await init({ baseUrl: SERVICE, session, captureToken, parameters, fetch: shownFetch(view) });
    capture.addEventListener('state', ({ detail }) => onProgress(detail.state));
    const contentType = file.type || 'video/x-matroska';
    await capture.upload({ blob: file, contentType, mirrored: mirrored === 'on', events: [] });
    const { status } = await capture.result();
    return { tone: { SUCCESS: 'good', SPOOF: 'bad' }[status] ?? 'notice', key: `replay.${status}` };
  } catch (error) {
    if (error.name !== 'FacelineError') throw error;
    return { tone: 'bad', key: 'replay.failed', values: { code: error.code, message: error.message } };
  }
}
