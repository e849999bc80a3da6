// Calls operations on the page of a service, as a person with a browser does:
//   node page.mjs PLAYWRIGHT URL PICTURE SCREENSHOT
// Prints what the page shows as JSON.
const [playwright, url, picture, screenshot] = process.argv.slice(2);
const { chromium } = await import(playwright);

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage({ viewport: { width: 1200, height: 1600 } });

// Requests that the browser blocked, failed requests, and requests to other hosts.
const browserErrors = [];
page.on('console', (message) => {
  const expected = message.text().includes('401 (Unauthorized)');
  if (message.type() === 'error' && !expected) browserErrors.push(message.text());
});
page.on('pageerror', (error) => browserErrors.push(String(error)));
page.on('request', (request) => {
  const local = request.url().startsWith(`${url}/`) || /^(data|blob):/.test(request.url());
  if (!local) browserErrors.push(request.url());
});

const block = (operation) => page.locator(`.opblock[id$="-${operation}"]`);

async function open(operation) {
  await block(operation).locator('.opblock-summary-control').click();
  await block(operation).locator('.try-out__btn').click();
}

async function execute(operation) {
  await block(operation).locator('.execute').click();
  const answer = block(operation).locator('.live-responses-table');
  const status = await answer.locator('.response-col_status').last().innerText();
  const text = await answer.locator('.highlight-code code').first().innerText();
  return { status: status.trim(), body: JSON.parse(text) };
}

async function authorize(key) {
  await page.locator('.auth-wrapper .authorize').click();
  // Each type of credential has a form of its own.
  const form = page.locator('.dialog-ux .auth-container').filter({ has: page.locator('h4 code', { hasText: /^apikey$/ }) });
  const logout = form.locator('button', { hasText: 'Logout' });
  await form.locator('input').or(logout).first().waitFor();
  if (await logout.isVisible()) await logout.click();
  await form.locator('input').fill(key);
  await form.locator('.auth-btn-wrapper .authorize').click();
  await form.locator('.btn-done').click();
}

try {
  await page.goto(`${url}/docs`);
  await authorize('wrong');
  await open('capabilities');
  const wrong = (await execute('capabilities')).status;
  await block('capabilities').locator('.btn-clear').click();
  await authorize('demo');
  const capabilities = await execute('capabilities');

  await open('create_face');
  await block('create_face').locator('input[type=file]').setInputFiles(picture);
  const face = await execute('create_face');
  await block('create_face').locator('.live-responses-table').scrollIntoViewIfNeeded();
  console.log(JSON.stringify({ wrong, capabilities, face, browserErrors }));
} finally {
  await page.screenshot({ path: screenshot });
  await browser.close();
}
