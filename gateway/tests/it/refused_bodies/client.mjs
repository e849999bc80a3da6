// Sends the same body again and again, and prints what each try comes to: a status, or an error.
// client.mjs URL HTTP-VERSION TRIES FILE NAME:VALUE...
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import http2 from 'node:http2';

process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');
const [url, version, tries, file, ...fields] = process.argv.slice(2);
const target = new URL(url);
const body = fs.readFileSync(file);
const headers = Object.fromEntries(fields.map((field) => field.split(/:(.*)/s).slice(0, 2)));

// With "Expect" the body waits until the server invites it.
function sendBody(call) {
  if (headers.Expect) call.on('continue', () => call.end(body));
  else call.end(body);
}

function overHttp1() {
  const { request } = target.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const call = request(target, { method: 'POST', headers: { ...headers, 'Content-Length': body.length } });
    call.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    call.on('error', reject);
    sendBody(call);
  });
}

async function byFetch() {
  const response = await fetch(target, { method: 'POST', headers, body });
  await response.arrayBuffer();
  return response.status;
}

function overHttp2() {
  return new Promise((resolve, reject) => {
    const session = http2.connect(target.origin);
    session.on('error', reject);
    const call = session.request({ ':method': 'POST', ':path': target.pathname, ...headers });
    let status;
    call.on('response', (answered) => { status = answered[':status']; });
    call.on('error', reject);
    call.resume();
    call.on('end', () => {
      if (status !== undefined) resolve(status);
      else reject(new Error('the stream ended without an answer'));
      session.close();
    });
    sendBody(call);
  });
}

const send = { 1: overHttp1, 2: overHttp2, fetch: byFetch }[version];
for (let at = 0; at < Number(tries); at += 1) {
  try {
    console.log(await send());
  } catch (error) {
    console.log(`error: ${error.message} ${error.cause?.message ?? ''}`);
  }
}
process.exit(0);
