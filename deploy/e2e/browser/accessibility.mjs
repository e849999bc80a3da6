// Checks the capture page and the playground with axe-core, in every state, light and dark:
//   node accessibility.mjs PLAYWRIGHT AXE URL CLIP PICTURE
// AXE is the file axe.min.js, CLIP (.mjpeg or .y4m) and PICTURE show a face. No worker is needed: the answers of the capture page are made here.
// Prints JSON: `checked` (page, state and scheme of each check), `violations`, `overflow` (states that are wider than a phone of
// 360 pixels), `focus` (where the focus is after each change of the screen, by the keyboard alone), `languages`, `motion` (animations
// that run despite `prefers-reduced-motion`), `incomplete` (ids of rules that axe could not decide), `planted`
// (axe's findings about a fault that this script plants) and `browserErrors` of the browser.
import { readFile } from 'node:fs/promises';

import { begin, inState, launch, openPage } from './browser.mjs';

const [playwright, axe, url, clip, picture] = process.argv.slice(2);
const source = await readFile(axe, 'utf8');
const found = { checked: [], violations: [], overflow: [], focus: {}, languages: {}, motion: [], incomplete: [], browserErrors: [] };
const browser = await launch(playwright, clip);

/** Checks what the page shows, in both colour schemes. */
async function check(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const { violations, incomplete } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations', 'incomplete'], preload: false }));
    found.checked.push(`${name} ${colorScheme}`);
    for (const { id, nodes } of violations) {
      found.violations.push({ name, colorScheme, id, nodes: nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`) });
    }
    for (const { id } of incomplete) if (!found.incomplete.includes(id)) found.incomplete.push(id);
  }
  const { width, running } = await page.evaluate(() => ({
    width: document.documentElement.scrollWidth, running: document.getAnimations().length,
  }));
  if (width > 360) found.overflow.push(`${name}: ${width}`);
  if (running) found.motion.push(name);
}

/** A page with axe. */
async function open(path, expected) {
  const page = await openPage(browser, url, found.browserErrors, { expected, reducedMotion: 'reduce' });
  await page.goto(`${url}/web/${path}/`);
  await page.evaluate(source);
  return page;
}

const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.tagName);

/** What axe finds if the page has a picture without a text: a check that it checks. */
async function planted(page) {
  return page.evaluate(async () => {
    const image = document.body.appendChild(new Image());
    const { violations } = await window.axe.run(image, { preload: false });
    image.remove();
    return violations.map(({ id }) => id);
  });
}

/** Keeps requests for a path waiting, until the function that it resolves with gives their answer. */
async function hold(page, path) {
  let release;
  const answer = new Promise((resolve) => { release = resolve; });
  await page.route(path, async (route) => route.fulfill(await answer));
  return release;
}

const isDemoPost = (route) => route.request().method() === 'POST';

async function captureUntilResult(status) {
  const page = await open('capture');
  const sent = await hold(page, '**/replay-liveness');
  const judged = await hold(page, '**/replay-liveness-metadata');
  await inState(page, 'start');
  if (status === 'SUCCESS') {
    found.planted = await planted(page);
    await check(page, 'start');
  }
  // A picture is taken faster.
  await begin(page, status === 'SUCCESS' ? 'LIVENESS_PASSIVE_VIDEO' : 'LIVENESS_PASSIVE');
  await inState(page, 'framing', 'recording', 'sending');
  if (status === 'SUCCESS') {
    found.focus.camera = await focused(page);
    await page.evaluate(() => { document.getElementById('force').hidden = false; });
    await check(page, 'camera');
  }
  await inState(page, 'sending');
  if (status === 'SUCCESS') {
    found.focus.sending = await focused(page);
    await check(page, 'sending');
  }
  sent({ status: 202 });
  await inState(page, 'judging');
  if (status === 'SUCCESS') await check(page, 'judging');
  const image = (await readFile(picture)).toString('base64');
  const success = { image, landmarks: { box: { x: 10, y: 10, width: 100, height: 130 } } };
  judged({ json: { id: 'replay', status, ...(status === 'SUCCESS' ? success : {}) } });
  await inState(page, 'result');
  await page.locator('#details summary').press('Enter');
  await check(page, `result ${status}`);
  if (status === 'SUCCESS') {
    await languages(page);
    await page.locator('#again').press('Enter');
    await inState(page, 'start');
    found.focus.start = await focused(page);
  }
  await page.context().close();
}

/** The page in its other languages, which the switch chooses: the headings, and the language that it declares. */
async function languages(page) {
  for (const language of ['de', 'fr', 'en']) {
    await page.locator('#language').selectOption(language);
    await page.waitForFunction((wanted) => document.documentElement.lang === wanted, language);
    found.languages[language] = await page.textContent('#result-title');
    await check(page, `result ${language}`);
  }
}

async function problem(status, code) {
  const page = await open('capture', [status]);
  await page.route('**/web/demo/sessions', (route) => {
    if (!isDemoPost(route)) return route.continue();
    return route.fulfill({ status, headers: { 'Retry-After': '60' }, body: '{}' });
  });
  await begin(page);
  await inState(page, 'problem');
  found.focus[code] = await focused(page);
  await check(page, `problem ${code}`);
  await page.context().close();
}

async function playground() {
  const page = await open('playground', [401]);
  await inState(page, 'ready');
  await page.locator('#tab-match').focus();
  for (const tab of ['match', 'verify', 'age', 'replay']) {
    await check(page, `playground ${tab}`);
    found.focus[`tab ${tab}`] = await focused(page);
    await page.keyboard.press('ArrowRight');
  }
  await page.locator('[data-picture="reference"] input').setInputFiles(picture);
  await page.locator('[data-picture="candidate"] [data-part="take"]').press('Enter');
  await page.locator('#camera-take:enabled').waitFor();
  await check(page, 'playground camera');
  await page.locator('#camera-take').press('Enter');
  await page.locator('[data-picture="candidate"] img[src]').waitFor();
  for (const [name, answer] of [
    ['same', { json: { score: 5000, falseAcceptanceRate: 0.00001 } }],
    ['different', { json: { score: 5, falseAcceptanceRate: 50 } }],
    ['refused', { status: 401, json: { message: 'no' } }],
  ]) {
    await page.route('**/match/images', (route) => route.fulfill(answer), { times: 1 });
    await page.locator('#panel-match [type="submit"]').press('Enter');
    await page.locator('.exchange .status:not(:empty)').waitFor();
    await check(page, `playground ${name}`);
  }
  await page.context().close();
}

try {
  await captureUntilResult('SUCCESS');
  for (const status of ['SPOOF', 'FAILED']) await captureUntilResult(status);
  await problem(503, 'overloaded');
  await problem(404, 'no-session');
  await problem(500, 'protocol');
  await playground();
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
