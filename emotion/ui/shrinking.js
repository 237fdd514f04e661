// @ts-check
/**
 * Pictures that exceed what the page takes are made smaller in the browser, just below the limits,
 * so that a phone's photo needs no other program. It runs once, after sending.js and in its scope.
 */
const LEAST_SIDE = 4096; // px of the longer side that stay, however large the file is
const PORTABLE = 4096 * 4096; // px of a canvas that every browser can make; one side has LEAST_SIDE
const QUALITIES = [0.92, 0.85, 0.75, 0.5];

/** @param {Blob} file @returns {Promise<HTMLImageElement | null>} null: not for this browser */
async function pictureOf(file) {
  const url = URL.createObjectURL(file);
  const image = new Image();
  image.src = url;
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
    });
    return image;
  } catch {
    return null;
  } finally {
    // What is loaded stays; only the name goes.
    URL.revokeObjectURL(url);
  }
}

/**
 * Return a file that the page takes: the same, or a smaller JPEG.
 * @param {File | Blob} file @param {{bytes: number, pixels: number}} most
 * @param {() => void} [shrinks] called before that begins, since it takes a while
 */
async function fit(file, most, shrinks) {
  const image = await pictureOf(file);
  const pixels = image ? image.naturalWidth * image.naturalHeight : 0;
  if (file.size <= most.bytes && pixels <= most.pixels) return file;
  const tooLarge = new SendError("photo_too_large", "", { limit: most.bytes / 1024 ** 2 });
  if (!image) throw tooLarge;
  shrinks?.();
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const smaller = await shrink(bitmap, most);
    if (smaller) return smaller;
  } catch {
    // The sentence below says it.
  } finally {
    bitmap?.close();
  }
  throw tooLarge;
}

/** @param {ImageBitmap} bitmap @param {{bytes: number, pixels: number}} most */
async function shrink(bitmap, most) {
  const { width, height } = bitmap;
  const largest = Math.min(1, Math.sqrt(Math.min(most.pixels, PORTABLE) / (width * height)));
  const small = Math.min(largest, LEAST_SIDE / Math.max(width, height));
  for (const scale of [largest, small]) {
    const canvas = drawn(bitmap, scale);
    for (const quality of canvas ? QUALITIES : []) {
      const blob = await encoded(canvas, quality);
      if (blob && blob.size <= most.bytes) return blob;
    }
  }
  return null;
}

/** @returns {Promise<Blob | null>} */
const encoded = (canvas, quality) =>
  new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));

/** Draw a picture smaller; null where the browser cannot make a canvas of that size. */
function drawn(bitmap, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
  canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
  const context = canvas.getContext("2d");
  if (!context) return null;
  context.fillStyle = "#fff"; // under what is transparent, as the server does
  context.fillRect(0, 0, canvas.width, canvas.height);
  // A canvas that is too large for its browser stays empty.
  if (!context.getImageData(0, 0, 1, 1).data[3]) return null;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

Object.assign(window.emotionPage, { fit, pictureOf, drawn, PORTABLE });
