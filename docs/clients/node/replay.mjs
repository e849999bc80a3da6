// Has a device record a video, and prints whether a living person is in it: replay.mjs
import { once } from 'node:events';
import { createServer } from 'node:http';

const { FACELINE_URL: url = 'http://127.0.0.1:8080', FACELINE_KEY: apikey = 'demo' } = process.env;
const call = async (method, path, json) => {
  const headers = { apikey, 'content-type': 'application/json' };
  const answer = await fetch(`${url}/bioserver-app${path}`, { method, headers, body: json && JSON.stringify(json) });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer;
};
const receiver = createServer().listen(0, '127.0.0.1');
await once(receiver, 'listening');
const callbackURL = `http://127.0.0.1:${receiver.address().port}/`;
const session = (await call('POST', '/v2/bio-sessions', { callbackURL })).headers.get('location');
const begun = await call('POST', `${session}/init-liveness-parameters`, { type: 'LIVENESS_PASSIVE_VIDEO' });
console.log(session.split('/').at(-1), begun.headers.get('x-capture-token')); // for the device
const [, response] = await once(receiver, 'request'); // the callback, which only says that there is a result
response.end();
const result = await (await call('GET', `${session.replace('/v2', '/v3')}/replay-liveness-metadata`)).json();
console.log(result.status);
receiver.close();
receiver.closeAllConnections();
