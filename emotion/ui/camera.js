// @ts-check
/**
 * The camera of the Live and the Photo tab: which one, whether new pictures come from it, and
 * whether it is shown as a mirror. It runs once, after common.js and in its scope.
 */
const CAMERA_SIZE = { width: { ideal: 640 }, height: { ideal: 480 } };
const AT_THE_VISITOR = { facingMode: { ideal: "user" } };
const CAMERA_KEY = "emotion-camera"; // what the visitor chose, from one visit to the next
const CLIP = "clip"; // id of the clip that stands in for a camera
const STAND_IN = 15; // ms between two looks at a video that does not say when a picture is new
const CARD_CELL = 16; // px of the patches by which scrambled pictures are told
const CARD_COLORS = [
  [0, 0, 0], [255, 255, 255], [208, 48, 48], [48, 160, 80], [48, 80, 192], [128, 128, 128],
  [224, 192, 64], [192, 64, 192],
];
const CARD_LIMIT = 40; // of 255: no JPEG changes the middle of a patch by as much

/** @param {number} ms @returns {Promise<undefined>} */

/** @param {unknown} error @returns {boolean} whether asking for another camera would ask in vain */
const isRefusal = (error) =>
  error instanceof Error && ["NotAllowedError", "SecurityError"].includes(error.name);

/** The sentence for a camera that did not open. @param {unknown} error @returns {string} key */
function cameraProblem(error) {
  if (!window.isSecureContext) return "camera_insecure";
  if (!navigator.mediaDevices?.getUserMedia) return "camera_in_app";
  if (isRefusal(error)) return "camera_refused";
  const name = error instanceof Error ? error.name : "";
  if (name === "DataError") return "camera_scrambled";
  if (name === "NotReadableError" || name === "AbortError") return "camera_in_use";
  return "camera_missing";
}

/** @returns {{id?: string, mirrored?: Record<string, boolean>}} */
const cameraChoices = () => storedValues(CAMERA_KEY);

/** @param {{id?: string, mirrored?: Record<string, boolean>}} changes */
const rememberCamera = (changes) => storeValues(CAMERA_KEY, changes);

/** @returns {Promise<MediaDeviceInfo[]>} none where the browser does not tell */
async function cameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return devices.filter((device) => device.kind === "videoinput");
}

/**
 * Whether pages get other pictures from a canvas than were drawn there, as some browsers do against
 * tracking. Then the server would be sent noise.
 * @returns {Promise<boolean>}
 */
async function picturesAreScrambled() {
  const card = document.createElement("canvas");
  card.width = CARD_COLORS.length * CARD_CELL;
  card.height = CARD_CELL;
  const context = card.getContext("2d", { willReadFrequently: true });
  CARD_COLORS.forEach((color, i) => {
    context.fillStyle = `rgb(${color.join(" ")})`;
    context.fillRect(i * CARD_CELL, 0, CARD_CELL, CARD_CELL);
  });
  try {
    const sent = new Image();
    sent.src = card.toDataURL("image/jpeg", 0.9);
    await sent.decode();
    context.clearRect(0, 0, card.width, card.height);
    context.drawImage(sent, 0, 0);
    return CARD_COLORS.some((color, i) => {
      const { data } = context.getImageData((i + 0.5) * CARD_CELL, CARD_CELL / 2, 1, 1);
      return color.some((value, channel) => Math.abs(value - data[channel]) > CARD_LIMIT);
    });
  } catch {
    return true; // a browser that hands out nothing
  }
}

class Camera {
  /**
   * @param {HTMLVideoElement} video that shows it
   * @param {() => void} lost called when it was disconnected
   */
  constructor(video, lost) {
    this.video = video;
    this.lost = lost;
    /** @type {MediaStream | null} */
    this.stream = null;
    this.id = ""; // of the device; that of the one before after it was closed
    this.turn = 0; // number of the current opening; an older one sees that it is over
    this.fresh = false; // whether a picture came that nobody has taken
    this.heard = 0; // when the newest picture came
    this.shown = -1; // its place in the video, where that is all there is
    this.wake = () => {};
    this.tells = "requestVideoFrameCallback" in video;
    const came = () => {
      this.came();
      video.requestVideoFrameCallback(came);
    };
    if (this.tells) video.requestVideoFrameCallback(came);
  }

  /**
   * Open the last camera, else the one that looks at the visitor, else any that is free.
   * @throws {DOMException} what `cameraProblem` has a sentence for
   */
  async open() {
    this.close();
    const id = this.isClip || !this.id ? cameraChoices().id : this.id;
    const choices = id ? [{ deviceId: { exact: id } }, AT_THE_VISITOR] : [AT_THE_VISITOR];
    try {
      await this.openFirst(choices);
    } catch (error) {
      if (isRefusal(error) || cameraProblem(error) === "camera_scrambled") throw error;
      const others = (await cameras()).filter(({ deviceId }) => deviceId && deviceId !== id);
      if (!others.length) throw error;
      await this.openFirst(others.map(({ deviceId }) => ({ deviceId: { exact: deviceId } })));
    }
  }

  /** Go on to the next camera that is free, round all of them; stay where there is no other. */
  async next() {
    const all = await cameras();
    const at = all.findIndex(({ deviceId }) => deviceId === this.id);
    const round = [...all.slice(at + 1), ...all.slice(0, at + 1)];
    this.close();
    await this.openFirst(round.map(({ deviceId }) => ({ deviceId: { exact: deviceId } })));
    rememberCamera({ id: this.id });
  }

  /** @param {MediaTrackConstraints[]} choices */
  async openFirst(choices) {
    const { turn } = this;
    let problem;
    for (const choice of choices) {
      try {
        return await this.use(choice);
      } catch (error) {
        if (turn !== this.turn || isRefusal(error)) throw error;
        problem ??= error;
      }
    }
    throw problem ?? new DOMException("", "NotFoundError");
  }

  /** @param {MediaTrackConstraints} choice */
  async use(choice) {
    const { turn, video } = this;
    const stream = await navigator.mediaDevices.getUserMedia({
      video: { ...CAMERA_SIZE, ...choice },
    });
    this.check(turn, stream);
    this.stream = stream;
    video.srcObject = stream;
    try {
      await this.begin(turn);
    } catch (error) {
      if (this.stream === stream) this.release();
      throw error;
    }
    const [track] = stream.getVideoTracks();
    this.id = track.getSettings().deviceId ?? "";
    track.addEventListener("ended", () => this.stream === stream && this.lost());
  }

  /** Let a clip stand in for a camera. @param {string} url @throws {DOMException} if it is not there */
  async play(url) {
    this.close();
    this.video.loop = true;
    this.video.src = url;
    this.id = CLIP;
    await this.begin(this.turn);
  }

  /** @param {number} turn */
  async begin(turn) {
    await this.video.play();
    this.check(turn, this.stream);
    if (await picturesAreScrambled()) throw new DOMException("", "DataError");
    this.check(turn, this.stream);
    this.came();
  }

  /** Camera and page may be closed while one waits. @param {number} turn @param {?MediaStream} stream */
  check(turn, stream) {
    if (turn === this.turn) return;
    stream?.getTracks().forEach((track) => track.stop());
    throw new DOMException("", "AbortError");
  }

  close() {
    this.turn++;
    this.release();
  }

  release() {
    const { stream, video } = this;
    stream?.getTracks().forEach((track) => track.stop());
    this.stream = video.srcObject = null;
    this.fresh = false;
    if (!video.hasAttribute("src")) return;
    video.removeAttribute("src");
    video.load();
  }

  get track() {
    return this.stream?.getVideoTracks()[0];
  }

  get isClip() {
    return this.id === CLIP;
  }

  /** What the system calls it. */
  get name() {
    return this.track?.label ?? "";
  }

  /** Whether something else holds it: a call, another tab, the system. */
  get muted() {
    return this.track?.muted ?? false;
  }

  /** Whether it is shown as a mirror: as the visitor chose, else if it looks at them. */
  get mirrored() {
    if (this.isClip) return false;
    const facing = this.track?.getSettings().facingMode;
    return cameraChoices().mirrored?.[this.id] ?? facing !== "environment";
  }

  set mirrored(mirrored) {
    rememberCamera({ mirrored: { ...cameraChoices().mirrored, [this.id]: mirrored } });
  }

  came() {
    if (this.muted || this.video.paused) return; // the last picture again, or a black one
    this.fresh = true;
    this.heard = performance.now();
    this.wake();
  }

  /** ms since the last new picture */
  get silence() {
    return performance.now() - this.heard;
  }

  /** No picture is expected now. */
  rest() {
    this.heard = performance.now();
  }

  /**
   * Wait for a picture that was not taken yet, and take it.
   * @param {number} within ms @returns {Promise<boolean>} whether one came
   */
  async picture(within) {
    const end = sleep(within).then(() => true);
    const woken = () => new Promise((resolve) => { this.wake = () => resolve(false); });
    for (let over = false; !this.fresh && !over; ) {
      over = await Promise.race([end, this.tells ? woken() : sleep(STAND_IN)]);
      const { currentTime } = this.video;
      if (!this.tells && currentTime !== this.shown) this.came();
      this.shown = currentTime;
    }
    const { fresh } = this;
    this.fresh = false;
    return fresh;
  }
}

Object.assign(window.emotionPage, { Camera, cameraProblem, cameras });
