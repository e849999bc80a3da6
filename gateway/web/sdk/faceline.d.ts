// The types of faceline.js, with the documentation of its exports.

/** The kind of liveness detection, from the parameters of the session. */
export type LivenessType = 'LIVENESS_PASSIVE' | 'LIVENESS_PASSIVE_VIDEO' | 'LIVENESS_ACTIVE';

/**
 * A direction that the person turns the head to. `left` is the person's own left, which a mirrored preview shows at the
 * screen's left.
 */
export type Direction = 'up' | 'down' | 'left' | 'right';

/** The answer of `init-liveness-parameters` or `liveness-parameters`, as the service signed it. */
export interface Parameters {
  id: string;
  type: LivenessType;
  securityLevel: 'LOW' | 'MEDIUM' | 'HIGH';
  /** The number of challenges, 1 to 6; only with `LIVENESS_ACTIVE`. */
  nbChallenge?: number;
  imageRetrievalDisabled?: boolean;
  /** 0 to 2147483647; decides the challenges. */
  seed: number;
  /** Base64 of DER. Uploads are encrypted for the first one. */
  certificates: string[];
  /** Base64 of 32 bytes. */
  serverRandom: string;
  /** A compact JWS over all other members. */
  signature: string;
}

/** A public key as a JWK, with its id. */
export type Key = JsonWebKey & { kid?: string };

/** A JWK set (RFC 7517), as `/.well-known/jwks.json` has it. */
export interface KeySet {
  keys: Key[];
}

/**
 * The status of a replay. After `INITIALIZED` and `IN_PROGRESS` it takes one of the other values, which are terminal.
 */
export type ReplayStatus = 'INITIALIZED' | 'IN_PROGRESS' | 'SUCCESS' | 'FAILED' | 'SPOOF' | 'ERROR' | 'TIMEOUT';

/** The answer of `replay-liveness-metadata`. */
export interface Result {
  id: string;
  status: ReplayStatus;
  /**
   * The best image, base64 of JPEG; only with `SUCCESS`, and where the session was begun with `imageRetrievalDisabled:
   * false`.
   */
  image?: string;
  /** In pixels of the best image; only with `SUCCESS`. */
  landmarks?: { box?: { x: number; y: number; width: number; height: number }; [member: string]: unknown };
  signature?: string;
  [member: string]: unknown;
}

/**
 * Advice about the current frame. `good`: the person need not change anything. `no-face`: no face is found; the frame
 * may still be good, because the statistics behind hints miss some faces, so word the text accordingly.
 */
export type Hint = 'good' | 'no-face' | 'too-far' | 'too-close' | 'off-centre' | 'too-dark' | 'too-bright' | 'blurred' | 'hold-still';

/** The statistics of one frame. They guide the person; the service judges the video by itself. */
export interface Framing {
  hint: Hint;
  /** The box of the face, in fractions of the frame's width and height from its upper left corner, unmirrored. */
  face: { x: number; y: number; width: number; height: number } | null;
  /**
   * From the middle of the frame to the middle of the face, in fractions of the frame; positive is right and down in
   * the unmirrored frame.
   */
  offset: { x: number; y: number };
  /** Mean luma, 0 to 255, of the face where there is one, else of the middle of the frame. */
  brightness: number;
  /** The ratio of the mean fine to the mean coarse gradient of the face, about 0.25 (blurred) to 0.5. */
  sharpness: number;
  /** The mean change of luma since the frame before, 0 to 255; 0 for the first frame. */
  motion: number;
  /**
   * The fraction of the required time for which the hint has been `good`, 0 to 1. At 1 the capture begins by itself.
   */
  stability: number;
  /** When the frame was analysed, by `performance.now()`, in milliseconds. */
  time: number;
}

/** The cause of an error, from which the page derives its advice. */
export type ErrorCode =
  /** The person or the browser's policy does not allow the camera. */
  | 'camera-denied'
  /** There is no camera, or none that fits the constraints. */
  | 'camera-missing'
  /** Another program uses the camera, or it stopped, or it gives no picture. */
  | 'camera-busy'
  /** The page is not on https (or localhost), so it gets neither a camera nor WebCrypto. */
  | 'insecure-context'
  /** The browser lacks something; the message says what. */
  | 'unsupported'
  /** The service could not be reached for as long as retries last. */
  | 'offline'
  /** The session, its parameters or its time for the upload are over: begin a new session. */
  | 'expired'
  /** The credential is wrong, or of an earlier replay (HTTP 401 or 403). */
  | 'refused'
  /** The service lacks capacity now; retry after `retryAfter` seconds. */
  | 'overloaded'
  /** The recording is longer than the service takes (HTTP 413). */
  | 'too-large'
  /** The signature of the parameters is invalid: nothing was encrypted or sent. */
  | 'untrusted'
  /** The service does not accept the request (HTTP 400), or answers something unexpected. */
  | 'protocol'
  /** There was no result within the `timeout` of `result`. */
  | 'timeout'
  /** The caller's signal was aborted, or `close` was called. */
  | 'aborted';

/** The error with which every promise of this module rejects. */
export class FacelineError extends Error {
  constructor(code: ErrorCode, message: string, details?: { status?: number; retryAfter?: number; cause?: unknown });
  readonly name: 'FacelineError';
  readonly code: ErrorCode;
  /** The HTTP status, where an answer is the reason. */
  readonly status?: number;
  /** In seconds, from the header `Retry-After`. */
  readonly retryAfter?: number;
}

/**
 * The state of a capture, in this order from `ready`; another recording goes back to `framing`, also after `failed`.
 */
export type State = 'ready' | 'framing' | 'recording' | 'recorded' | 'encrypting' | 'uploading' | 'waiting' | 'judging' | 'done' | 'failed';

/** One step of a challenge. `turn`: the person turns the head to `direction`. `ahead`: the person looks ahead again. */
export interface ChallengeStep {
  /** From 0; the challenge that the step belongs to. -1 for the step `ahead` before the first challenge. */
  index: number;
  /** The number of challenges. */
  count: number;
  phase: 'turn' | 'ahead';
  direction: Direction;
  /** Milliseconds since the first recorded frame. */
  shownAt: number;
}

/** An event of a capture. */
export interface CaptureEvent<Detail> extends Event {
  readonly detail: Detail;
}

/** The events of a capture. */
export interface CaptureEvents {
  /** For every analysed frame. */
  hint: CaptureEvent<Framing>;
  /** For every step of `LIVENESS_ACTIVE`; `null` when all are done. */
  challenge: CaptureEvent<ChallengeStep | null>;
  /** `value` is 0 to 1. */
  progress: CaptureEvent<{ phase: 'recording' | 'encrypting' | 'uploading'; value: number }>;
  /** `waiting`: the upload waits `retryIn` seconds for the network or for the service; `reason` says for which. */
  state: CaptureEvent<{ state: State; retryIn?: number; reason?: 'offline' | 'overloaded'; error?: FacelineError }>;
}

export interface InitOptions {
  /** The address of the service, without `/bioserver-app`; a path prefix of a proxy belongs to it. */
  baseUrl: string | URL;
  /** The session's id. */
  session: string;
  /** Without it the session's id alone authorises, where the service allows that (`capture.session_id_authorises`). */
  captureToken?: string;
  /** What the back end got from `init-liveness-parameters`, unchanged. Without it `init` fetches them. */
  parameters?: Parameters;
  /**
   * The keys that may have signed the parameters, from somewhere else than the service's own answers (pinned). Without
   * it `init` takes those of the service's `/.well-known/jwks.json`, which proves no more than TLS does.
   */
  keys?: KeySet | Key[];
  /** In place of the global `fetch`. Uploads with it report no progress but 0 and 1. */
  fetch?: typeof fetch;
}

/**
 * Prepares a capture: checks the browser, fetches the parameters unless they are given, and verifies their signature.
 * Rejects with `insecure-context`, `unsupported`, `untrusted`, `offline`, `expired`, `refused`, `overloaded` or
 * `protocol`.
 */
export function init(options: InitOptions): Promise<Capture>;

export interface CaptureOptions {
  /**
   * Shows the camera. The capture plays it, and leaves the stream running at the end. Without it the SDK uses an
   * element of its own.
   */
  video?: HTMLVideoElement;
  /** The camera. The default is the stream of `video`, else `openCamera()`, which `close` then stops. */
  stream?: MediaStream;
  /** `still` is the default with `LIVENESS_PASSIVE`, and possible there only. */
  mode?: 'still' | 'video';
  /** The same as the event `hint`. */
  onHint?: (framing: Framing) => void;
  /** For how long the framing must be good before the capture begins, in milliseconds; 800 unless given. */
  steadyTime?: number;
  /**
   * After the page has been visible for this time, in milliseconds, the capture begins whatever the framing is. The
   * time restarts when the person returns to the page. Never unless given; see `force`.
   */
  forceAfter?: number;
  /**
   * Length of the video without challenges, in milliseconds; 3500 unless given. The service needs at least one second.
   */
  duration?: number;
  /**
   * Whether the stream's frames are mirrored, so the person's own left is at the frame's left. Frames of cameras are
   * not: false unless given.
   */
  mirrored?: boolean;
  signal?: AbortSignal;
}

/** The output of `capture`. */
export interface Recording {
  blob: Blob;
  /** Media type without parameters. */
  contentType: string;
  mirrored: boolean;
  /** When each challenge was shown, in milliseconds since the first recorded frame. */
  events: { challenge: number; shownAt: number }[];
  /** Milliseconds; 0 for a still. */
  duration: number;
  width: number;
  height: number;
}

/** One session's capture. Get it from `init`. */
export class Capture extends EventTarget {
  private constructor();
  readonly session: string;
  /** Verified. */
  readonly parameters: Parameters;
  /** The directions that the person must turn to; empty unless `parameters.type` is `LIVENESS_ACTIVE`. */
  readonly challenges: readonly Direction[];
  readonly state: State;
  /**
   * Watches the camera, begins by itself once the framing is good, and records a still or a video. A recording that is
   * interrupted (the page is hidden, the phone is turned, the camera gives no frames) is dropped, and the state goes
   * back to `framing`. Rejects with `camera-denied`, `camera-missing`, `camera-busy`, `insecure-context`, `unsupported`
   * or `aborted`.
   */
  capture(options?: CaptureOptions): Promise<Recording>;
  /**
   * Begins the capture with the next frame, whatever the framing is: offer it as a button after some seconds. Does
   * nothing outside `framing`.
   */
  force(): void;
  /**
   * Encrypts and uploads a recording, or a file with its media type. Repeats the same bytes on the answers that
   * docs/capture-client.md lists, and waits while the device is offline. `upload` and `result` keep the screen on if
   * the browser allows it, because a phone that locks closes its connections. Rejects with `offline`, `expired`,
   * `refused`, `overloaded`, `too-large`, `protocol`, `untrusted` or `aborted`. Calling it again with the same
   * recording sends the same bytes.
   */
  upload(recording: Recording | Blob, options?: {
    onProgress?: (value: number) => void;
    /**
     * Time limit of the upload with its retries, in milliseconds; 280000 unless given, below the service's five
     * minutes.
     */
    timeout?: number;
    signal?: AbortSignal;
  }): Promise<void>;
  /**
   * Polls until the status is terminal. Rejects with `expired`, `refused`, `offline`, `overloaded`, `protocol`,
   * `timeout` or `aborted`.
   */
  result(options?: {
    /** In milliseconds; 1000 unless given. */
    pollInterval?: number;
    /** In milliseconds; 300000 unless given. */
    timeout?: number;
    signal?: AbortSignal;
  }): Promise<Result>;
  /** Aborts all running operations, and stops a camera that the capture opened. */
  close(): void;

  addEventListener<Name extends keyof CaptureEvents>(
    type: Name, listener: (event: CaptureEvents[Name]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

/** The version of the SDK, which uploads carry as `sdkInfo.sdkVersion`. */
export const version: string;

/**
 * Opens a camera, the front one unless a device is named. Rejects with `camera-…`, `insecure-context` or
 * `unsupported`.
 */
export function openCamera(options?: {
  deviceId?: string;
  facingMode?: 'user' | 'environment';
  width?: number;
  height?: number;
}): Promise<MediaStream>;

/** The cameras. Their labels are empty until a camera was opened. */
export function cameras(): Promise<MediaDeviceInfo[]>;

/** The media type in which this browser records and which the service accepts; `undefined` if there is none. */
export function recordingType(): string | undefined;

/**
 * Analyses the frames of a playing video until the signal is aborted, at most `rate` times a second (15 unless given).
 * The first call comes with the first frame.
 */
export function watchFraming(video: HTMLVideoElement, onFraming: (framing: Framing) => void, options?: {
  rate?: number;
  steadyTime?: number;
  signal?: AbortSignal;
}): void;

/** Pixels as a canvas has them: red, green, blue and alpha of each. */
export interface Pixels {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}

/**
 * The statistics of one frame of 64 pixels on its longer side (smaller faces than 8 pixels are not found, and more
 * pixels take more time). Give the answer for the frame before as `previous` to get `motion`, and the face's part of
 * the frame, 64 pixels wide, as `detail` to get `sharpness`; without them `motion` is 0 and `sharpness` 1.
 */
export function framing(image: Pixels, previous?: Framing, detail?: Pixels): Framing;

/** The directions of a seed: the first `count` (at most 6). */
export function challenges(seed: number, count: number): Promise<Direction[]>;

/**
 * Verifies the signature of parameters, and resolves with them. Rejects with `untrusted` if no key of `keys` verifies
 * it. Neither the device's clock nor the validity of the certificates is checked.
 */
export function verifyParameters(parameters: Parameters, keys: KeySet | Key[]): Promise<Parameters>;

/** Reads the P-256 key of a certificate (DER), and its SHA-256 in base64url (`x5t#S256`). Rejects with `protocol`. */
export function certificateKey(der: Uint8Array): Promise<{ x: Uint8Array; y: Uint8Array; thumbprint: string }>;

export interface EncryptedMedia {
  media: Uint8Array;
  /** 32 bytes. */
  mediaKey: Uint8Array;
  /** 7 bytes. */
  noncePrefix: Uint8Array;
  /** SHA-256 of `media`. */
  digest: Uint8Array;
}

/**
 * Encrypts a file with AES-256-GCM in chunks. Key and nonce prefix are drawn anew unless given; give them only to check
 * test vectors.
 */
export function encryptMedia(file: Blob | Uint8Array, options: {
  session: string;
  /** `id` of the parameters. */
  id: string;
  mediaKey?: Uint8Array;
  noncePrefix?: Uint8Array;
  onProgress?: (value: number) => void;
  signal?: AbortSignal;
}): Promise<EncryptedMedia>;

/**
 * Encrypts claims as a compact JWE (ECDH-ES+A256KW, A256GCM) for a certificate (base64 of DER). Rejects with `protocol`
 * if the JWE would be longer than the service accepts.
 */
export function sealMetadata(claims: object, certificate: string): Promise<string>;
