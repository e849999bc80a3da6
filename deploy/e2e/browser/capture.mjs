// Goes through the capture page as a person with a camera does:
//   node capture.mjs PLAYWRIGHT URL CLIP MODE SCREENSHOTS [TURNS]
// URL is the service without a slash at the end, CLIP what the camera shows, SCREENSHOTS a folder that exists. MODE is
//   passive, video  once through the page; CLIP is .mjpeg or .y4m
//   active          one challenge. CLIP is any video; TURNS is JSON with, for each direction that the person's own head turns to, three
//                   times in seconds: `{"left": [from, turn, to], ...}`. Until `turn` the head rests; it is back before `to`. The clip
//                   is shown backwards if `from` is the latest time.
//   problems        a camera that is denied, missing, in use; a page without https; an overloaded service; a session that has expired,
//                   and one with a wrong token; the network lost in mid-upload; CLIP is a living person
//   embedded        a session of an integrator's back end (API key `demo`), and the return; CLIP is a living person
// Chromium plays a file again from its beginning when it ends, which is a cut, so a person's clip must be longer than the capture: 8 s
// from the camera's start, 12 s with the button that the page offers late.
// Prints JSON: what the page shows, `firstHint` (milliseconds from the first frame to the first hint) and `browserErrors` of the browser.
import { join } from 'node:path';

import { DESKTOP, begin, frames, inState, launch, network, openPage, shown } from './browser.mjs';

const [playwright, url, clip, mode, screenshots, turns] = process.argv.slice(2);
const TYPES = { passive: 'LIVENESS_PASSIVE', video: 'LIVENESS_PASSIVE_VIDEO', active: 'LIVENESS_ACTIVE' };
const PAGE = `${url}/web/capture/`;

const browserErrors = [];
const browser = await launch(playwright, mode === 'active' ? undefined : clip);
const screenshot = (page, name) => page.screenshot({ path: join(screenshots, `${name}.png`) });

/** From the first frame that the page showed to the first hint that it wrote, in milliseconds. */
function firstHint(page) {
  return page.evaluate(() => {
    const time = (name) => performance.getEntriesByName(name)[0]?.startTime;
    return time('first-hint') - time('first-frame');
  });
}

/** Waits for the end of a capture that has begun. */
async function finish(page, name) {
  await inState(page, 'recording', 'sending', 'judging', 'result', 'problem');
  if (name) await screenshot(page, `${name}-recording`);
  await inState(page, 'result', 'problem');
  await page.waitForFunction(() => document.querySelector('#best').hidden || document.querySelector('#best-image').complete);
  if (name) await screenshot(page, `${name}-result`);
  const outcome = { ...await shown(page), firstHint: await firstHint(page) };
  await page.context().close();
  return outcome;
}

async function once(name, options) {
  const page = await openPage(browser, url, browserErrors, options);
  await page.goto(PAGE);
  await inState(page, 'start');
  await screenshot(page, `${name}-start`);
  await begin(page, TYPES[mode]);
  await inState(page, 'framing', 'recording', 'sending', 'judging', 'problem');
  return finish(page, name);
}

/** A camera in the page: it shows the head at rest until the page shows an arrow, then the turn. It only goes from a frame to its neighbours,
 * since a jump would be a cut. The light flickers by up to 4 %, as under a lamp: without that, the same frames would come back in a long
 * recording, which is rightly taken for a loop. */
function installCamera() {
  navigator.mediaDevices.getUserMedia = async () => {
    const { pictures, turn } = await window.cameraPictures();
    const bytes = (picture) => Uint8Array.from(atob(picture), (character) => character.charCodeAt(0));
    const bitmaps = await Promise.all(pictures.map((picture) => createImageBitmap(new Blob([bytes(picture)]))));
    const canvas = Object.assign(document.createElement('canvas'), { width: bitmaps[0].width, height: bitmaps[0].height });
    const context = canvas.getContext('2d');
    let [at, step, hasTurned] = [0, 1, false];
    setInterval(() => {
      hasTurned ||= 'turn' in document.getElementById('stage').dataset;
      const end = hasTurned ? bitmaps.length - 1 : turn - 1;
      if (hasTurned && at < turn) step = 1;
      else if (at >= end) step = -1;
      else if (at <= (hasTurned ? end - 10 : 0)) step = 1;
      at = Math.min(end, Math.max(0, at + step));
      context.drawImage(bitmaps[at], 0, 0);
      context.fillStyle = `rgb(0 0 0 / ${0.04 * Math.random()})`;
      context.fillRect(0, 0, canvas.width, canvas.height);
    }, 1000 / 15);
    return canvas.captureStream();
  };
}

async function active() {
  const page = await openPage(browser, url, browserErrors);
  const times = JSON.parse(turns);
  let pictures;
  let challenge;
  await page.exposeFunction('cameraPictures', () => pictures);
  await page.addInitScript(installCamera);
  // The service draws the seed. One challenge is asked for; the clip is cut to its direction, and sessions with a direction that
  // the clip does not have are dropped.
  await page.route('**/web/demo/sessions', async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    const postData = JSON.stringify({ ...route.request().postDataJSON(), nbChallenge: 1 });
    for (;;) {
      const response = await route.fetch({ postData });
      const { parameters } = await response.json();
      [challenge] = await page.evaluate(
        async ([sdk, seed]) => (await import(sdk)).challenges(seed, 1), [`${url}/web/sdk/faceline.js`, parameters.seed]);
      if (!times[challenge]) continue;
      const [from, turn, to] = times[challenge];
      pictures = { pictures: await frames(clip, from, to), turn: Math.round(Math.abs(turn - from) * 15) };
      return route.fulfill({ response });
    }
  });
  await page.goto(PAGE);
  await begin(page, TYPES.active);
  const arrow = page.waitForFunction(() => document.getElementById('stage').dataset.turn).then((turn) => turn.jsonValue());
  const [seen, outcome] = await Promise.all([
    arrow.then(async (turn) => {
      await screenshot(page, 'active-turn');
      return { turn, hint: await page.textContent('#hint') };
    }),
    finish(page, 'active'),
  ]);
  return { challenge, seen, ...outcome };
}

/** The problem that the page shows if `getUserMedia` rejects with an error of this name. */
async function cameraError(name) {
  const page = await openPage(browser, url, browserErrors);
  await page.addInitScript((error) => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', error));
  }, name);
  await page.goto(PAGE);
  await begin(page);
  return finish(page);
}

async function denied() {
  const page = await openPage(browser, url, browserErrors, { permissions: [] });
  await page.goto(PAGE);
  await begin(page);
  await inState(page, 'problem');
  await screenshot(page, 'denied');
  const outcome = await shown(page);
  // The person allows the camera in the browser's menu.
  await page.context().grantPermissions(['camera']);
  await inState(page, 'framing', 'recording', 'sending').catch(() => page.locator('#problem-action').click());
  const after = await inState(page, 'framing', 'recording', 'sending');
  await page.context().close();
  return { ...outcome, after };
}

async function insecure() {
  const elsewhere = url.replace('127.0.0.1', 'insecure.test');
  const page = await openPage(browser, elsewhere, browserErrors);
  await page.goto(`${elsewhere}/web/capture/`);
  return finish(page);
}

/** The service is overloaded for two seconds. */
async function overloaded() {
  const page = await openPage(browser, url, browserErrors, { expected: [503] });
  await page.route('**/web/demo/sessions', (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    return route.fulfill({ status: 503, headers: { 'Retry-After': '2' } });
  }, { times: 2 });
  await page.goto(PAGE);
  await begin(page);
  await inState(page, 'problem');
  const outcome = await shown(page);
  const isDisabled = await page.locator('#problem-action').isDisabled();
  await page.locator('#problem-action:enabled').click();
  return { ...outcome, isDisabled, after: await inState(page, 'start', 'framing', 'recording') };
}

/** The network is cut in mid-upload, and comes back. */
async function lostNetwork() {
  const between = await network(url);
  const page = await openPage(browser, between.address, browserErrors, { expected: [409] });
  await page.goto(`${between.address}/web/capture/`);
  await begin(page, TYPES.video);
  await between.uploadIsHalfway;
  between.cut();
  await page.waitForFunction(() => /connection/.test(document.getElementById('sending-title').textContent));
  await screenshot(page, 'offline');
  const waiting = await page.evaluate(() => ({
    title: document.getElementById('sending-title').textContent, text: document.getElementById('sending-text').textContent,
  }));
  between.restore();
  const outcome = { waiting, ...await finish(page) };
  between.close();
  return outcome;
}

/** The session ends after the page has it and before the upload. */
async function expired() {
  const page = await openPage(browser, url, browserErrors, { expected: [401, 404] });
  await page.route('**/web/demo/sessions', async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    const response = await route.fetch();
    const { sessionId } = await response.json();
    const options = { method: 'DELETE', headers: { apikey: 'demo' } };
    const deletion = await fetch(`${url}/bioserver-app/v2/bio-sessions/${sessionId}`, options);
    if (!deletion.ok) browserErrors.push(`the session could not be deleted: ${deletion.status}`);
    return route.fulfill({ response });
  });
  await page.goto(PAGE);
  await begin(page, TYPES.video);
  return finish(page, 'expired');
}

/** A session as an integrator's back end creates it, with its token. */
async function backEndSession() {
  const call = async (path, body) => {
    const headers = { apikey: 'demo', 'Content-Type': 'application/json' };
    const answer = await fetch(`${url}/bioserver-app/v2${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  };
  const session = (await call('/bio-sessions', {})).headers.get('Location').split('/').pop();
  const wanted = [{ type: TYPES.video, securityLevel: 'MEDIUM', imageRetrievalDisabled: false }];
  const begun = await call(`/bio-sessions/${session}/init-liveness-parameters`, wanted);
  return { session, token: begun.headers.get('X-Capture-Token') };
}

async function wrongToken() {
  const { session } = await backEndSession();
  const page = await openPage(browser, url, browserErrors, { expected: [401] });
  await page.goto(`${PAGE}?session=${session}#token=wrong`);
  return finish(page);
}

async function embedded() {
  const { session, token } = await backEndSession();
  const page = await openPage(browser, url, browserErrors, { viewport: DESKTOP });
  const sent = [];
  page.on('request', (request) => sent.push(request.url()));
  await page.route('**/finished?*', (route) => route.fulfill({ body: 'back' }));
  await page.goto(`${PAGE}?session=${session}&returnUrl=/finished%3Forder=7#token=${token}`);
  await inState(page, 'start');
  // The page reads the token again after a reload, though its address has it no more.
  await page.reload();
  await inState(page, 'start');
  const address = page.url();
  const returns = await page.evaluate(async (script) => {
    const { returnAddress } = await import(script);
    const wanted = ['/done', 'https://elsewhere.example/', '//elsewhere.example/', '\\\\elsewhere.example', 'javascript:alert(1)', 'data:,x',
      `${location.protocol}//user:word@${location.host}/`, 'blob:https://elsewhere.example/x'];
    return wanted.map((value) => returnAddress(value)?.href ?? null);
  }, `${PAGE}entry.js`);
  await begin(page);
  await inState(page, 'result', 'problem');
  const outcome = await shown(page);
  await page.locator('#finish').press('Enter');
  await page.waitForURL('**/finished?*');
  const end = page.url();
  return { session, token, address, returns, end, ...outcome, leaks: sent.filter((sentUrl) => sentUrl.includes(token)) };
}

const RUNS = {
  passive: () => once('passive'),
  video: async () => ({ ...await once('video'), desktop: await once('video-desktop', { viewport: DESKTOP, colorScheme: 'dark' }) }),
  active,
  problems: async () => ({
    denied: await denied(),
    missing: await cameraError('NotFoundError'),
    busy: await cameraError('NotReadableError'),
    insecure: await insecure(),
    overloaded: await overloaded(),
    lostNetwork: await lostNetwork(),
    expired: await expired(),
    wrongToken: await wrongToken(),
  }),
  embedded,
};

try {
  const outcome = await RUNS[mode]();
  console.log(JSON.stringify({ ...outcome, browserErrors }));
} finally {
  await browser.close();
}
