// Requests, their answers, and how both are shown.

import { SERVICE } from '../capture/entry.js';
import { text, writeTexts } from '../capture/texts.js';

const SHOWN_CHARACTERS = 48;
// Longer texts without a blank are shortened where a request is shown: pictures in base64.
const LONG_TEXT = /"([A-Za-z0-9+/=_-]{400,})"/g;

/** JSON with line breaks. The tokens stay unchanged: parsing and serialising would change numbers. */
export function indented(json) {
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  return json.replace(/"(?:[^"\\]|\\.)*"|[{}[\],:]|\s+/g, (token) => {
    if (token === '{' || token === '[') {
      depth += 1;
      return token + line();
    }
    if (token === '}' || token === ']') {
      depth -= 1;
      return line() + token;
    }
    if (token === ',') return token + line();
    if (token === ':') return ': ';
    return token.trim() === '' ? '' : token;
  }).replace(/([{[])\s+([}\]])/g, '$1$2');
}

/** A text as one word of a POSIX shell. */
export function quoted(word) {
  return /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replace(/'/g, `'\\''`)}'`;
}

/**
 * A field of a form as curl's option `-F` takes it. curl would read a name that is not quoted as far as its first comma
 * or semicolon.
 */
export function formField(name, value) {
  if (typeof value === 'string') return `${name}=${value}`;
  return `${name}=@${/[",;\\]/.test(value.name) ? `"${value.name.replace(/["\\]/g, '\\$&')}"` : value.name}`;
}

/** The address of a path of the service, with the prefix that a proxy adds. */
export const addressOf = (path) => new URL(path, SERVICE);

/** The parts of a form as text; a file is shown by its length. */
function formText(form) {
  const parts = [...form].map(([name, value]) => {
    const head = `--boundary\nContent-Disposition: form-data; name="${name}"`;
    if (typeof value === 'string') return `${head}\n\n${value}`;
    return `${head}; filename="${value.name}"\nContent-Type: ${value.type || 'application/octet-stream'}\n\n(${value.size} bytes)`;
  });
  return `${parts.join('\n')}\n--boundary--`;
}

function bodyText(body) {
  if (body instanceof FormData) return formText(body);
  if (body instanceof Blob) return `(${body.size} bytes)`;
  if (typeof body !== 'string') return '';
  return indented(body).replace(LONG_TEXT, (_, long) => `"${long.slice(0, SHOWN_CHARACTERS)}… (${long.length} characters)"`);
}

/** Headers that hold a secret show the name of a variable instead, as in the curl line. */
function shownHeaders(headers) {
  const names = { apikey: '$APIKEY', authorization: 'Bearer $BWS_TOKEN', 'x-capture-token': '$CAPTURE_TOKEN' };
  return Object.entries(headers).map(([name, value]) => `${name}: ${names[name.toLowerCase()] ?? value}`);
}

/** A request as text. */
export function requestText({ method, path, headers = {}, body }) {
  const kind = body instanceof FormData ? { 'Content-Type': 'multipart/form-data; boundary=…' } : {};
  const lines = [`${method} ${addressOf(path).pathname} HTTP/1.1`, `Host: ${SERVICE.host}`, ...shownHeaders({ ...headers, ...kind })];
  return `${lines.join('\n')}\n\n${bodyText(body)}`.trimEnd();
}

/** The elements of one call below `container`; a view with `request`, `answer` and `failed`. */
export function exchangeView(container) {
  const fragment = document.getElementById('exchange').content.cloneNode(true);
  const article = fragment.querySelector('article');
  const $ = (selector) => article.querySelector(selector);
  writeTexts(article);
  const copy = $('.copy');
  copy.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText($('.curl').textContent);
      copy.textContent = text('answers.copied');
    } catch {
      // Without https there is no clipboard API, so the text is selected for manual copying.
      getSelection().selectAllChildren($('.curl'));
    }
  });
  container.append(fragment);
  return {
    /** Shows the request. `curl` is the equivalent command; without it, no command is shown. */
    request(call, curl) {
      $('.call').textContent = `${call.method} ${addressOf(call.path).pathname}`;
      $('.request').textContent = requestText(call);
      $('.curl').textContent = curl ?? '';
      $('[data-of="curl"]').hidden = !curl;
      $('.answer').textContent = '…';
    },
    /** Shows the answer: HTTP status, headers, the body's text, and the duration in milliseconds. */
    answer({ status, headers, body, time }) {
      const isJson = headers.get('content-type')?.includes('json');
      $('.status').textContent = status;
      $('.status').classList.toggle('failed', status >= 400);
      $('.time').textContent = `${Math.round(time)} ms`;
      const shown = ['content-type', 'location', 'retry-after', 'x-request-id', 'jobid', 'response-time-ms']
        .filter((name) => headers.has(name)).map((name) => `${name}: ${headers.get(name)}`);
      $('.answer').textContent = `HTTP ${status}\n${shown.join('\n')}\n\n${isJson ? indented(body) : body}`.trimEnd();
    },
    /** Shows that no answer arrived. */
    failed(message) {
      $('.status').textContent = text('answers.none');
      $('.status').classList.add('failed');
      $('.answer').textContent = message;
    },
  };
}

/**
 * Calls the service and shows it in `view`; resolves with the status, the headers and the body's text. Rejects without
 * an answer.
 */
export async function perform(call, view, curl) {
  view.request(call, curl);
  const began = performance.now();
  try {
    const { method, path, headers, body, signal } = call;
    const answer = await fetch(addressOf(path), { method, headers, body, signal, cache: 'no-store', credentials: 'omit' });
    const found = { status: answer.status, headers: answer.headers, body: await answer.text(), time: performance.now() - began };
    view.answer(found);
    return found;
  } catch (error) {
    view.failed(String(error.message ?? error));
    throw error;
  }
}
