// The session of the page, and the address to which the page returns.
//
// Embedded: the integrator's back end opens `…/web/capture/?session=ID&returnUrl=URL#token=TOKEN`. The token is in
// the fragment, which no server and no proxy logs. Demonstration: without `session` the page asks the service for one
// of the demo account.

/** The service: the pages lie in `web/capture/` and `web/playground/` below it, whatever prefix a proxy adds. */
export const SERVICE = new URL('../../', import.meta.url);

/** The origins to which a page may return: its own, and those that `faceline-return-origins` lists. */
function returnOrigins() {
  const listed = document.querySelector('meta[name="faceline-return-origins"]')?.content ?? '';
  return [location.origin, ...listed.split(/\s+/).filter(Boolean)];
}

/**
 * The address to return to, or null if it is not allowed. The author of a link chooses `returnUrl`, and the page must
 * not redirect to an address of another owner (open redirect).
 */
export function returnAddress(returnUrl, origins = returnOrigins()) {
  if (!returnUrl) return null;
  let url;
  try {
    url = new URL(returnUrl, location.href);
  } catch {
    return null;
  }
  // `origin` of `javascript:` and the like is "null"; user and password would make a foreign address look like a known
  // one.
  return origins.includes(url.origin) && url.origin !== 'null' && !url.username && !url.password ? url : null;
}

/**
 * The parameters in the page's address. The token is removed from the address, so no bookmark or screenshot contains
 * it; it survives a reload.
 */
export function entry() {
  const query = new URLSearchParams(location.search);
  const session = query.get('session');
  if (!session) return { embedded: false };
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? history.state?.token;
  history.replaceState({ token }, '', location.pathname + location.search);
  return { embedded: true, session, token, returnTo: returnAddress(query.get('returnUrl')) };
}

const isFramed = () => parent !== window;

/** Whether the outcome has a receiver: an address to return to, or the page that opened or frames this one. */
export function hasReceiver(source) {
  return source.embedded && Boolean(source.returnTo || window.opener || isFramed());
}

/**
 * Sends the outcome to the page that opened or frames this one, and returns. The outcome is no proof, since the person
 * can forge it: a back end asks the service for the status.
 */
export function leave(source, outcome) {
  const { session, returnTo } = source;
  const message = { type: 'faceline-capture', session, outcome };
  // `frame-ancestors` of this page's content policy limits the pages that can frame it, so any origin may get the message.
  if (isFramed()) parent.postMessage(message, '*');
  for (const origin of returnTo ? [returnTo.origin] : returnOrigins()) window.opener?.postMessage(message, origin);
  if (isFramed()) return;
  if (!returnTo) {
    window.close();
    return;
  }
  returnTo.searchParams.set('session', session);
  returnTo.searchParams.set('outcome', outcome);
  location.assign(returnTo);
}

/** A failure in the form of the SDK's errors. */
function failure(code, details = {}) {
  return Object.assign(new Error(code), { code, ...details });
}

async function ask(path, options) {
  try {
    return await fetch(new URL(path, SERVICE), { cache: 'no-store', ...options });
  } catch (cause) {
    throw failure('offline', { cause });
  }
}

/**
 * Whether the service is a demonstration: its path for new sessions takes POST only (405), and elsewhere does not exist
 * (404). Rejects with `offline` where nothing answers.
 */
export async function hasDemonstration() {
  const { status } = await ask('web/demo/sessions');
  return status === 405;
}

/** A session of the demonstration: `{sessionId, captureToken, parameters}`. Rejects with an error that has a `code`. */
export async function demoSession(type) {
  const answer = await ask('web/demo/sessions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ type, securityLevel: 'MEDIUM', nbChallenge: 2 }),
  });
  if (answer.ok) return answer.json();
  const status = answer.status;
  if (status === 404 || status === 405) throw failure('no-session', { status });
  const retryAfter = Number(answer.headers.get('Retry-After')) || undefined;
  throw failure(status === 429 || status === 503 ? 'overloaded' : 'protocol', { status, retryAfter });
}

/** The best image of a session of the demonstration, or undefined where there is none. */
export async function demoBestImage(session) {
  const answer = await ask(`web/demo/sessions/${encodeURIComponent(session)}/best-image`);
  return answer.ok ? answer.blob() : undefined;
}
