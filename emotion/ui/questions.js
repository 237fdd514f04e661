// @ts-check
/**
 * What the Live view asks: the picture of this moment, when it was taken, and under which name whoever
 * answers knows our faces. It runs once, after where.js and in its scope.
 */
const ANSWER_TIMEOUT = 8000; // ms
const FORGOTTEN_AFTER = 60_000; // ms without a question after which it may have forgotten us

/** The clock of the video: it stands still while the picture is frozen. */
class FrameClock {
  constructor() {
    this.frozen = false;
    this.since = 0; // when it was frozen
    this.stood = 0; // ms in which it stood, all times together
  }

  /** In seconds. */
  get now() {
    return ((this.frozen ? this.since : performance.now()) - this.stood) / 1000;
  }

  freeze() {
    const now = performance.now();
    if (this.frozen) this.stood += now - this.since;
    else this.since = now;
    this.frozen = !this.frozen;
  }
}

class Questions {
  /**
   * @param {HTMLVideoElement} video @param {Where} where who answers @param {FrameClock} clock
   * @param {() => void} forgotten called when neither side knows the faces any more
   */
  constructor(video, where, clock, forgotten) {
    this.video = video;
    this.where = where;
    this.clock = clock;
    this.forgotten = forgotten;
    this.canvas = document.createElement("canvas");
    this.visitor = ""; // what our tracks are known by
    this.asked = 0; // when we asked last
  }

  /** Begin with faces that neither side has met, since the other's numbers may begin anew. */
  meetAnew() {
    this.visitor = crypto.randomUUID();
    this.asked = performance.now();
    this.forgotten();
  }

  /**
   * Ask about the picture of this moment.
   * @param {number} explain index of a class, or -1: the strongest
   * @param {number} cover id of the face that is to be explained by the cover test, or 0
   * @returns {Promise<any>} undefined: no answer; {late: true}: none yet
   */
  async ask(explain, cover) {
    const { canvas, video, where } = this;
    if (performance.now() - this.asked > FORGOTTEN_AFTER) this.meetAnew();
    this.asked = performance.now();
    canvas.width = facts.frameSide;
    canvas.height = Math.round((facts.frameSide * video.videoHeight) / video.videoWidth);
    canvas
      .getContext("2d", { willReadFrequently: true })
      .drawImage(video, 0, 0, canvas.width, canvas.height);
    try {
      const said = { explain, visitor: this.visitor, time: this.clock.now, cover };
      const late = sleep(ANSWER_TIMEOUT).then(() => ({ late: true }));
      return (await Promise.race([where.answer(canvas, said), late])) ?? undefined;
    } catch {
      return undefined;
    }
  }
}

Object.assign(window.emotionPage, { FrameClock, Questions });
