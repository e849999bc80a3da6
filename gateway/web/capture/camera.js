// The camera: opening and closing it, and the choice among several.

import { text } from './texts.js';

/** Opens cameras with `sdk` for the element `video`, and offers them in `selects`, of which each is in an element that is hidden until there is a choice. */
export function cameraOf(sdk, video, selects) {
  let deviceId;

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

    /** Whether the preview should be like a mirror: it should, unless the camera looks away from the screen. */
    get isMirror() {
      return video.srcObject?.getVideoTracks()[0]?.getSettings().facingMode !== 'environment';
    },

    /** Opens the camera and offers the others. Rejects as `openCamera` of the SDK does. */
    async open() {
      try {
        const stream = await sdk.openCamera(deviceId ? { deviceId } : {});
        deviceId = stream.getVideoTracks()[0]?.getSettings().deviceId ?? deviceId;
        return stream;
      } catch (error) {
        // The chosen camera may have been pulled out.
        deviceId = undefined;
        throw error;
      } finally {
        await offer();
      }
    },

    /** Ends the camera's use, so its light goes out. */
    close() {
      for (const track of video.srcObject?.getTracks() ?? []) track.stop();
      video.srcObject = null;
    },
  };
}

/**
 * Looks at a picture of noise. The browser compiles what looks at frames when it runs for the first time, which takes longer than the
 * first hint should.
 */
export function warmUp(sdk) {
  const [width, height, times] = [96, 72, 3];
  const data = new Uint8ClampedArray(4 * width * height);
  for (let at = 0; at < data.length; at += 1) data[at] = (Math.imul(at, 2654435761) >>> 24);
  for (let time = 0; time < times; time += 1) sdk.framing({ data, width, height });
}
