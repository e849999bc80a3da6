// Compares the faces of two pictures: one-to-one.mjs REFERENCE CANDIDATE
import { readFileSync } from 'node:fs';

const { FACELINE_URL: url = 'http://127.0.0.1:8080', FACELINE_KEY: apikey = 'demo' } = process.env;
const body = new FormData();
for (const [index, side] of ['reference', 'candidate'].entries()) {
  body.set(`${side}Image`, new Blob([readFileSync(process.argv[index + 2])]), side);
  body.set(`${side}ImageType`, 'SELFIE');
}
const answer = await fetch(`${url}/bioserver-app/v2/match/images`, { method: 'POST', headers: { apikey }, body });
if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
const { score, falseAcceptanceRate } = await answer.json();
console.log(score, falseAcceptanceRate);
