// Checks bodies with the lines of gateway/api/signatures.md, which stand beside this file as signatures.mjs.
// In: {jwks, pem, bodies}. Out: for each body whether it holds by the JWK set, and by the first certificate.
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { check, keyOf } from "./signatures.mjs";

const { jwks, pem, bodies } = JSON.parse(readFileSync(0, "utf8"));
const every = (body, key) => [JSON.parse(body)].flat().every((answer) => check(answer, key(answer)));
const results = bodies.map((body) => [
  every(body, (answer) => keyOf(answer, JSON.parse(jwks))),
  every(body, () => createPublicKey(pem)),
]);
console.log(JSON.stringify(results));
