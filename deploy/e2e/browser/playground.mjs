// Makes the calls of the playground as a person does:
//   node playground.mjs PLAYWRIGHT URL REFERENCE CANDIDATE VIDEO CLIP SCREENSHOTS
// REFERENCE and CANDIDATE are photos of one person, VIDEO is a file to replay, CLIP (.mjpeg or .y4m) is what the camera shows. The
// service must be a demonstration.
// Prints JSON: for `match`, `verify`, `age` and `replay` the `summary`, and of each call the `call`, `status`, `request`, `answer` and
// `curl` that the page shows; `keys` (which credentials are filled in), `copied` (the clipboard), `wrongKey`, `missing` (no picture),
// `unreachable` (no service), `leaks` (whether a credential stands anywhere in the page's texts) and `browserErrors` of the browser.
import { join } from 'node:path';

import { DESKTOP, PHONE, inState, launch, openPage } from './browser.mjs';

const [playwright, url, reference, candidate, video, clip, screenshots] = process.argv.slice(2);
const browserErrors = [];
const browser = await launch(playwright, clip);

try {
  const permissions = ['camera', 'clipboard-read', 'clipboard-write'];
  const page = await openPage(browser, url, browserErrors, { viewport: DESKTOP, expected: [401], permissions });
  const picture = (name, file) => page.locator(`[data-picture="${name}"] input`).setInputFiles(file);
  const summary = () => page.textContent('#summary');
  const screenshot = (name) => page.screenshot({ path: join(screenshots, `playground-${name}.png`) });

  /** Presses the button of a call, and reads what the page shows when it is over. */
  async function call(name) {
    await page.evaluate(() => { document.getElementById('summary').dataset.tone = 'pressed'; });
    await page.locator(`#panel-${name} [type="submit"]`).press('Enter');
    await page.waitForFunction(() => ['good', 'bad', 'notice'].includes(document.getElementById('summary').dataset.tone));
    const exchanges = await page.locator('.exchange').evaluateAll((articles) => articles.map((article) => {
      const text = (part) => article.querySelector(part).textContent;
      const [status, request, answer, curl] = ['.status', '.request', '.answer', '.curl'].map(text);
      return { call: text('.call'), status, request, answer, curl };
    }));
    return { summary: await summary(), exchanges };
  }

  await page.goto(`${url}/web/playground/`);
  await inState(page, 'ready');
  const keys = await page.evaluate(() => Object.fromEntries(
    ['apikey', 'bws-client', 'bws-key'].map((id) => [id, document.getElementById(id).value])));

  await page.locator('#panel-match [type="submit"]').press('Enter');
  const missing = { summary: await summary(), focus: await page.evaluate(() => document.activeElement.getAttribute('aria-label')) };
  await picture('reference', reference);
  await picture('candidate', candidate);
  const match = await call('match');
  await screenshot('match');
  await page.locator('.copy').press('Enter');
  await page.locator('.copy', { hasText: 'Copied' }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  await page.fill('#apikey', 'wrong');
  const wrongKey = await call('match');
  await page.fill('#apikey', keys.apikey);

  await page.locator('#tab-verify').click();
  await picture('photo', reference);
  await page.locator('[data-picture="live1"] [data-part="take"]').press('Enter');
  await page.locator('#camera-take:enabled').press('Enter');
  await page.locator('[data-picture="live1"] img[src]').waitFor();
  const verify = await call('verify');
  await screenshot('verify');

  await page.locator('#tab-age').click();
  await picture('image', reference);
  const age = await call('age');

  await page.locator('#tab-replay').click();
  await page.locator('#file').setInputFiles(video);
  const replay = await call('replay');
  await screenshot('replay');
  await page.setViewportSize(PHONE);
  await page.evaluate(() => scrollTo(0, 0));
  await screenshot('phone');

  const shown = JSON.stringify([match, verify, age, replay]);
  const leaks = ['apikey: demo', keys['bws-key'], 'eyJhbGciOiJIUzUxMiI'].filter((secret) => secret && shown.includes(secret));

  await page.route('**/ages', (route) => route.abort());
  await page.locator('#tab-age').click();
  browserErrors.push(...(await page.locator('#panel-age').isVisible() ? [] : ['the tab of ages does not open']));
  const before = browserErrors.length;
  const unreachable = (await call('age')).summary;
  // The browser says that the request failed, as it should.
  browserErrors.splice(before);
  console.log(JSON.stringify({ keys, missing, match, copied, wrongKey, verify, age, replay, unreachable, leaks, browserErrors }));
} finally {
  await browser.close();
}
