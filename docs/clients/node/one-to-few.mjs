// Compares a picture's face with those of others, the best match first: one-to-few.mjs REFERENCE CANDIDATE...
import { readFileSync } from 'node:fs';

const { FACELINE_URL: url = 'http://127.0.0.1:8080', FACELINE_KEY: apikey = 'demo' } = process.env;
const call = async (method, path, body) => {
  const answer = await fetch(`${url}/bioserver-app${path}`, { method, headers: { apikey }, body });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer;
};
const session = (await call('POST', '/v2/bio-sessions')).headers.get('location');
const faces = [];
for (const path of process.argv.slice(2)) {
  const form = new FormData();
  form.set('image', new Blob([readFileSync(path)]), path);
  form.set('imageType', 'SELFIE');
  form.set('friendlyName', path);
  faces.push((await call('POST', `${session}/faces`, form)).headers.get('location'));
}
for (const { score, candidate } of await (await call('GET', `${faces[0]}/matches`)).json()) console.log(score, candidate.friendlyName);
await call('DELETE', session);
