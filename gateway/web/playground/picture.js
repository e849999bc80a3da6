// Slots for pictures: a file is chosen or dropped, or the camera takes one.

import { openCamera } from '../sdk/faceline.js';
import { text } from '../capture/texts.js';

const $ = (id) => document.getElementById(id);

/**
 * Opens the dialog with the camera; resolves with a picture (JPEG), or with undefined if the person changes their mind.
 */
async function takePicture() {
  const [dialog, video, take, note] = ['camera', 'camera-video', 'camera-take', 'camera-note'].map($);
  let stream;
  note.textContent = text('camera.allow');
  take.disabled = true;
  dialog.showModal();
  let isClosed = false;
  const closed = new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      isClosed = true;
      resolve();
    }, { once: true });
  });
  let taken;
  take.onclick = async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext('2d').drawImage(video, 0, 0);
    taken = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.95));
    dialog.close();
  };
  $('camera-cancel').onclick = () => dialog.close();
  try {
    stream = await openCamera();
    // The dialog may have been closed and opened again during the browser's permission prompt; the new one has its own
    // camera.
    if (!isClosed) {
      video.srcObject = stream;
      await video.play();
      note.textContent = '';
      take.disabled = false;
      take.focus();
    }
  } catch (error) {
    if (!isClosed) note.textContent = text(`camera.${error.code}`) || error.message;
  }
  await closed;
  if (video.srcObject === stream) video.srcObject = null;
  for (const track of stream?.getTracks() ?? []) track.stop();
  return taken && new File([taken], 'camera.jpg', { type: 'image/jpeg' });
}

/** Makes `element` (`data-picture`) a slot. Its `file` is the picture; undefined while there is none. */
export function pictureSlot(element) {
  element.append($('picture').content.cloneNode(true));
  const part = (name) => element.querySelector(`[data-part="${name}"]`);
  const image = element.querySelector('img');
  const input = element.querySelector('input');
  const slot = { name: element.dataset.picture, isOptional: 'optional' in element.dataset, file: undefined, label, missing };

  function choose(file) {
    if (!file) return;
    if (image.src) URL.revokeObjectURL(image.src);
    slot.file = file;
    image.src = URL.createObjectURL(file);
    image.hidden = false;
    element.classList.remove('missing');
    label();
  }

  /** Writes the texts of the present language. */
  function label() {
    const name = text(element.dataset.label);
    part('label').textContent = name;
    part('choose').textContent = text('picture.choose');
    part('take').textContent = text('picture.take');
    input.setAttribute('aria-label', `${name}: ${text('picture.choose')}`);
    part('take').setAttribute('aria-label', `${name}: ${text('picture.take')}`);
    image.alt = slot.file ? `${name}: ${slot.file.name}` : '';
  }

  /** Marks a required slot as empty, and moves the focus to it. */
  function missing() {
    element.classList.add('missing');
    input.focus();
  }

  input.addEventListener('change', () => choose(input.files[0]));
  part('take').addEventListener('click', async () => choose(await takePicture()));
  element.addEventListener('dragover', (event) => {
    event.preventDefault();
    element.classList.add('dropping');
  });
  element.addEventListener('dragleave', () => element.classList.remove('dropping'));
  element.addEventListener('drop', (event) => {
    event.preventDefault();
    element.classList.remove('dropping');
    choose(event.dataTransfer.files[0]);
  });
  return slot;
}
