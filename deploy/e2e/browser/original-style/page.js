// The script of a page in the style of the original service: it uses only the four globals and its own back end.
// `?mode=` is LIVENESS_PASSIVE, LIVENESS_PASSIVE_VIDEO or LIVENESS_ACTIVE; with `?session=` the page uses an existing session of the
// same mode. `window.log` records callbacks, positions and errors for a test.

const VIDEO_SERVER_BASE_PATH = '/video-server';
const BIOSERVER_VIDEO_URL = document.body.dataset.videoUrl;
const query = new URLSearchParams(location.search);
const mode = query.get('mode') ?? 'LIVENESS_PASSIVE_VIDEO';
const isActive = mode === 'LIVENESS_ACTIVE';
const log = (window.log = { callbacks: [], positions: [], errors: [] });
const $ = (id) => document.getElementById(id);

const POSITIONS = [
  'GOOD', 'STAND_STILL', 'MOVE_BACK_INTO_FRAME', 'CENTER_MOVE_BACKWARDS', 'CENTER_MOVE_FORWARDS', 'CENTER_MOVE_LEFT', 'CENTER_MOVE_RIGHT',
  'CENTER_MOVE_UP', 'CENTER_MOVE_DOWN', 'CENTER_TURN_RIGHT', 'CENTER_TURN_LEFT', 'CENTER_ROTATE_UP', 'CENTER_ROTATE_DOWN',
  'CENTER_TILT_RIGHT', 'CENTER_TILT_LEFT', 'MOVING_TOO_FAST', 'OPEN_EYES', 'UNKNOWN', ...(isActive ? [] : ['MOVE_DARKER_AREA', 'MOVE_BRIGHTER_AREA']),
];
for (const position of POSITIONS) {
  const element = Object.assign(document.createElement('p'), { id: `TRACKER_POSITION_INFO_${position}`, className: 'position' });
  element.textContent = position.toLowerCase().replaceAll('_', ' ');
  $('positions').append(element);
}

function message(text) {
  $('message').textContent = text;
}

async function backend(path, options) {
  const answer = await fetch(`/demo-server/${path}`, options);
  if (!answer.ok) throw new Error(answer.status === 429 ? 'server overloaded' : `${path}: ${answer.status}`);
  return answer;
}
const json = async (path, options) => (await backend(path, options)).json();

function noted(name, handle) {
  return (value) => {
    if (log.callbacks.at(-1) !== name) log.callbacks.push(name);
    return handle(value);
  };
}

const callbacks = {
  onClientInitEnd: () => BioserverVideoUI.initPassiveVideoGraphics('user-video'),
  trackingFn(info) {
    if (info.downloadProgress !== undefined || info.uploadProgress !== undefined) return;
    if (!log.positions.includes(info.positionInfo)) log.positions.push(info.positionInfo);
    for (const shown of document.querySelectorAll('.position.shown')) shown.classList.remove('shown');
    document.getElementById(info.positionInfo).classList.add('shown');
    if (info.facew === 0 && info.faceh === 0) message('No face');
    const { stillFace, targetOnHover, targetChallengeIndex, challengeCircles } = info.livenessActive ?? {};
    if (isActive && !stillFace && !targetOnHover) log.target = challengeCircles[targetChallengeIndex].pos;
    if (isActive) BioserverVideoUI.updateLivenessActiveGraphics('user-video', info);
    else BioserverVideoUI.displayPassiveVideoAnimation(info);
  },
  showChallengeInstruction(instruction) {
    log.callbacks.push(instruction);
    if (instruction !== 'TRACKER_CHALLENGE_PENDING') return message('Follow the instructions');
    BioserverVideoUI.stopPassiveVideoAnimation();
    return message('Please wait');
  },
  async showChallengeResult({ bestImageInfo }) {
    try {
      await showResult(bestImageInfo);
    } catch (error) {
      fail(error);
    }
  },
  errorFn(error) {
    log.errors.push(error);
    const blocked = error.code === 429 && `Blocked until ${error.unlockDateTime}`;
    message(blocked || (error.code === 503 ? 'The server is overloaded' : `Error ${error.code}: ${error.error}`));
  },
};
for (const [name, handle] of Object.entries(callbacks)) callbacks[name] = noted(name, handle);

function fail(error) {
  log.errors.push({ error: String(error) });
  message(String(error));
}

let sessionId;

async function showResult(bestImageInfo) {
  log.result = await json(`liveness-challenge-result/${sessionId}`);
  const { livenessStatus, bestImageId, diagnostic } = log.result;
  message(`Result: ${livenessStatus} ${diagnostic ?? ''}`);
  if (livenessStatus === 'SUCCESS') {
    const path = `bio-session/${sessionId}/faces/${bestImageId}`;
    const picture = await (await backend(`${path}/image`)).blob();
    await BioserverVideoUI.displayAndCenterBestImage(picture, bestImageInfo, '.best-image');
    const [reference] = $('reference').files;
    if (reference) {
      await json(`bio-session/${sessionId}/faces`, { method: 'POST', body: reference });
      log.matches = await json(`${path}/matches`);
    }
  }
  $('outcome').textContent = JSON.stringify(log.matches ?? log.result, null, 2);
  log.done = true;
}

async function start() {
  $('start').disabled = true;
  BioserverVideoUI.resetBestImage();
  BioserverVideoUI.resetLivenessActiveGraphics({ tooltip: { enabled: true } });
  try {
    sessionId = query.get('session') ?? (await json(`init-liveness-session?mode=${mode}`)).sessionId;
    log.sessionId = sessionId;
    const stream = await BioserverVideo.getMediaStream({ videoId: 'user-video' });
    const client = await BioserverVideo.initFaceCaptureClient({
      bioSessionId: sessionId, wspath: `${VIDEO_SERVER_BASE_PATH}/engine.io`, bioserverVideoUrl: BIOSERVER_VIDEO_URL, ...callbacks,
    });
    window.addEventListener('beforeunload', () => client.disconnect().catch(() => {}));
    window.client = client;
    client.startCapture({ stream });
  } catch (error) {
    const denied = String(error.name).includes('NotAllowed');
    fail(denied ? 'Please allow the camera' : error);
  }
}

const { envDetected, message: problem } = BioserverEnvironment.detection();
if (!envDetected || !envDetected.os.isSupported || !envDetected.browser.isSupported) {
  message(problem || `Use one of ${envDetected.browser.supportedList.map(({ name, minimumVersion }) => `${name} ${minimumVersion}`).join(', ')}`);
} else {
  BioserverNetworkCheck.connectivityMeasure({
    uploadURL: `${BIOSERVER_VIDEO_URL}${VIDEO_SERVER_BASE_PATH}/network-speed`,
    latencyURL: `${BIOSERVER_VIDEO_URL}${VIDEO_SERVER_BASE_PATH}/network-latency`,
    onNetworkCheckUpdate(connectivity) {
      log.connectivity = connectivity;
      message(connectivity?.goodConnectivity ? 'Ready' : 'Your network is slow');
      $('start').disabled = false;
    },
    errorFn: fail,
  });
}
$('start').addEventListener('click', start);
