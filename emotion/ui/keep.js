// @ts-check
/**
 * A photo that stays on this device: read, analysed and covered in the worker. It runs once, after
 * where.js and in its scope.
 */
const KEPT_SIDE = 4096; // px of the copy that is looked at
const KEEP_KEY = "emotion-photo-keep";

class Keep {
  /** @param {HTMLInputElement} box the visitor's choice; remembered */
  constructor(box) {
    this.box = box;
    box.checked = stored(KEEP_KEY) === "yes";
    box.addEventListener("change", () => store(KEEP_KEY, box.checked ? "yes" : "no"));
  }

  get on() {
    return this.box.checked;
  }

  /**
   * Analyse a picture.
   * @param {HTMLImageElement | null} image as the browser read it @param {boolean} detect
   * @param {(key: string) => void} told what is done now
   * @returns {Promise<any>} as the server's, see ``emotion/ui/photo.py``
   */
  async analyze(image, detect, told) {
    if (!image?.naturalWidth) throw new SendError("device_cannot_read");
    const failed = await device.open((share) => told(share < 1 ? "device_loading" : "device_trying"));
    if (failed) throw new SendError(failed);
    told("photo_working");
    const scale = Math.min(1, KEPT_SIDE / Math.max(image.naturalWidth, image.naturalHeight));
    const canvas = document.createElement("canvas");
    const width = (canvas.width = Math.max(1, Math.round(image.naturalWidth * scale)));
    const height = (canvas.height = Math.max(1, Math.round(image.naturalHeight * scale)));
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#fff"; // under what is transparent
    context.fillRect(0, 0, width, height);
    context.drawImage(image, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height).data.buffer;
    const answer = await device.ask("photo", { pixels, width, height, detect }, [pixels]);
    if (answer.error) throw new SendError(answer.error);
    const faces = answer.faces.map(({ findings, ...face }) => {
      const [why, ...sentences] = findings.map(findingSentence);
      return { ...face, crop: greyUrl(face.crop), why, sentences };
    });
    return { photo: "kept", width, height, faces, count: answer.count };
  }

  /**
   * Classify a crop with places covered.
   * @param {string} crop data URL @param {string} mask a bit per pixel, base64
   * @returns {Promise<any>} as the server's, see ``emotion/ui/covering.py``
   */
  async cover(crop, mask) {
    const image = new Image();
    image.src = crop;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = facts.crop;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, facts.crop, facts.crop);
    const grey = Uint8Array.from({ length: facts.crop ** 2 }, (_, at) => data[4 * at]);
    const answer = await device.ask("cover", { crop: grey, mask: unpack(mask) });
    return answer.error ? answer : { ...answer, crop: greyUrl(answer.crop) };
  }
}

/** A crop as a picture that can be shown. @param {Uint8Array} crop @returns {string} data URL */
function greyUrl(crop) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = facts.crop;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(facts.crop, facts.crop);
  crop.forEach((value, at) => picture.data.set([value, value, value, 255], 4 * at));
  context.putImageData(picture, 0, 0);
  return canvas.toDataURL("image/png");
}

Object.assign(window.emotionPage, { Keep });
