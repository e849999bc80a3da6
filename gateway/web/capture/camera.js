// The camera: opening and closing it, and the choice among several.

import { text } from './texts.js';

/**
 * Opens cameras with `sdk` for the element `video`, and offers them in `selects`, of which each is in an element that
 * is hidden until there is a choice.
 */
export function cameraOf(sdk, video, selects) {
  let deviceId;

  /** Opens the camera that was used last, or another one if that was unplugged. */
  async function openStream() {
    if (!deviceId) return sdk.openCamera();
    try {
      return await sdk.openCamera({ deviceId });
    } catch (error) {
      if (error.code !== 'camera-missing') throw error;
      return sdk.openCamera();
    }
  }

  function close() {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  }

  async function offer() {
    const found = await sdk.cameras().catch(() => []);
    for (const select of selects) {
      select.parentElement.hidden = found.length < 2;
      select.replaceChildren(...found.map((device, index) => {
        const label = device.label || text('camera.unnamed', { number: index + 1 });
        return new Option(label, device.deviceId, false, device.deviceId === deviceId);
      }));
    }
  }

  return {
    /** The camera that `open` takes from now on. */
    choose(id) {
      deviceId = id;
    },

    /** Whether the preview is mirrored: yes, unless the camera is at the back of the device. */
    get isMirror() {
      return video.srcObject?.getVideoTracks()[0]?.getSettings().facingMode !== 'environment';
    },

    /** Opens the camera and offers the others. Rejects as `openCamera` of the SDK does. */
    async open() {
      // Many phones cannot open a camera while another one is open.
      close();
      try {
        const stream = await openStream();
        deviceId = stream.getVideoTracks()[0]?.getSettings().deviceId ?? deviceId;
        return stream;
      } catch (error) {
        // Another camera may work.
        deviceId = undefined;
        throw error;
      } finally {
        await offer();
      }
    },

    /** Stops the camera, so its light goes out. */
    close,
  };
}

// Frames are analysed at this many pixels on their longer side, as in the SDK.
const ANALYSED_PIXELS = 64;
const canvas = document.createElement('canvas');
const context = canvas.getContext('2d', { willReadFrequently: true });

/** The SDK's statistics of the frame that `video` shows now. */
export function look(sdk, video) {
  const { videoWidth, videoHeight } = video;
  const scale = ANALYSED_PIXELS / Math.max(videoWidth, videoHeight);
  const [width, height] = [videoWidth, videoHeight].map((side) => Math.max(1, Math.round(side * scale)));
  Object.assign(canvas, { width, height });
  context.drawImage(video, 0, 0, width, height);
  return sdk.framing(context.getImageData(0, 0, width, height));
}

/**
 * Analyses a picture of noise, so the browser compiles the analysis before the first frame. Compiling takes longer than
 * the first hint may take.
 */
export function warmUp(sdk) {
  const times = 3;
  const image = context.getImageData(0, 0, ANALYSED_PIXELS, ANALYSED_PIXELS);
  for (let at = 0; at < image.data.length; at += 1) image.data[at] = Math.imul(at, 2654435761) >>> 24;
  for (let time = 0; time < times; time += 1) sdk.framing(image);
}
