// Fakes of the browser's objects that a capture uses, and a clock that tests advance.

/**
 * A target that surely removes the listeners of an aborted signal. Node.js keeps one such removal alive for each target
 * only; garbage collection may take the others.
 */
class Target extends EventTarget {
  addEventListener(type, listener, options = {}) {
    const { signal, ...others } = options;
    if (signal?.aborted) return;
    super.addEventListener(type, listener, others);
    signal?.addEventListener('abort', () => this.removeEventListener(type, listener));
  }
}

/** An element whose frames a test shows. */
export class Video extends Target {
  videoWidth = 640;
  videoHeight = 480;
  readyState = 0;
  srcObject = null;
  /** The callbacks of all frames that were asked for. */
  frames = [];
  #shown = 0;

  async play() {}

  requestVideoFrameCallback(callback) {
    return this.frames.push(callback);
  }

  cancelVideoFrameCallback(handle) {
    this.frames[handle - 1] = undefined;
  }

  /** Shows a frame. */
  show() {
    const due = this.frames.slice(this.#shown);
    this.#shown = this.frames.length;
    for (const callback of due) callback?.();
  }
}

export class Track extends Target {
  readyState = 'live';
  settings = {};

  getSettings() {
    return this.settings;
  }

  stop() {
    this.readyState = 'ended';
  }
}

export class Stream {
  track = new Track();

  getTracks() {
    return [this.track];
  }

  getVideoTracks() {
    return [this.track];
  }
}

/** A recorder that begins at once, unless `isSlow` says that a test calls `onstart`. */
export class Recorder {
  static isTypeSupported = () => true;
  static isSlow = false;
  static made = [];
  state = 'inactive';

  constructor() {
    Recorder.made.push(this);
  }

  start() {
    this.state = 'recording';
    if (!Recorder.isSlow) queueMicrotask(() => this.onstart());
  }

  stop() {
    this.state = 'inactive';
    queueMicrotask(() => {
      this.ondataavailable({ data: new Blob(['video']) });
      this.onstop();
    });
  }
}

/** The context of a canvas on which every picture is black. */
const context = {
  drawImage() {},
  getImageData: (x, y, width, height) => ({ data: new Uint8ClampedArray(4 * width * height), width, height }),
};

/** The globals of a page, with the members of `navigator` that a test needs. Returns the function that removes them. */
export function install(navigator) {
  Recorder.isSlow = false;
  Recorder.made = [];
  const createElement = () => ({
    getContext: () => context,
    toBlob: (callback, type) => callback(new Blob(['picture'], { type })),
  });
  const values = { document: Object.assign(new Target(), { hidden: false, createElement }), MediaRecorder: Recorder, navigator };
  const before = Object.keys(values).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const [name, value] of Object.entries(values)) Object.defineProperty(globalThis, name, { value, configurable: true });
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else delete globalThis[name];
    }
  };
}

/** Hides the page, or shows it again. */
export function hide(isHidden) {
  document.hidden = isHidden;
  document.dispatchEvent(new Event('visibilitychange'));
}

/** Runs the pending promise callbacks. */
const settle = () => new Promise((resolve) => { setImmediate(resolve); });

/** Runs pending promise callbacks until `condition` holds. */
export async function until(condition) {
  while (!condition()) await settle();
}

/** Takes the place of timers and of `performance.now`: time passes only when a test says so. */
export class Clock {
  now = 0;
  timers = new Map();
  #last = 0;
  #real = { setTimeout, clearTimeout, setInterval, clearInterval };
  #realNow = Object.getOwnPropertyDescriptor(performance, 'now');

  constructor() {
    const add = (callback, delay, every, values) => {
      this.#last += 1;
      this.timers.set(this.#last, { at: this.now + delay, every, run: () => callback(...values) });
      return this.#last;
    };
    const remove = (id) => this.timers.delete(id);
    globalThis.setTimeout = (callback, delay = 0, ...values) => add(callback, delay, undefined, values);
    globalThis.setInterval = (callback, delay = 0, ...values) => add(callback, delay, delay, values);
    Object.assign(globalThis, { clearTimeout: remove, clearInterval: remove });
    Object.defineProperty(performance, 'now', { value: () => this.now, configurable: true });
  }

  /** Advances the time by some milliseconds, and runs everything that is due. */
  async pass(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      await settle();
      const [due] = [...this.timers].filter(([, { at }]) => at <= end).sort(([, one], [, other]) => one.at - other.at);
      if (!due) break;
      const [id, timer] = due;
      this.now = Math.max(this.now, timer.at);
      if (timer.every === undefined) this.timers.delete(id);
      else timer.at = this.now + timer.every;
      timer.run();
    }
    this.now = end;
  }

  /** Time passes while nothing can happen, as if the main thread were busy. */
  async block(milliseconds) {
    this.now += milliseconds;
    await this.pass(0);
  }

  remove() {
    Object.assign(globalThis, this.#real);
    delete performance.now;
    if (this.#realNow) Object.defineProperty(performance, 'now', this.#realNow);
  }
}
