// @ts-check
/** The camera of the Live and the Photo tab. It runs once, after common.js and in its scope. */

/** The sentence for a camera that did not open. @param {unknown} error @returns {string} key */
function cameraProblem(error) {
  if (!window.isSecureContext || !navigator.mediaDevices) return "camera_insecure";
  const name = error instanceof Error ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "camera_refused";
  if (name === "NotReadableError" || name === "AbortError") return "camera_in_use";
  return "camera_missing";
}

/** Open a camera into a <video>. @param {HTMLVideoElement} video @param {object} choice */
async function openCamera(video, choice) {
  const size = { width: { ideal: 640 }, height: { ideal: 480 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, ...choice } });
  try {
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    closeCamera(stream);
    throw error;
  }
  return stream;
}

/** @param {MediaStream | null} stream */
const closeCamera = (stream) => stream?.getTracks().forEach((track) => track.stop());

/** @param {MediaStream} stream */
const looksAtVisitor = (stream) =>
  stream.getVideoTracks()[0].getSettings().facingMode !== "environment";

Object.assign(window.emotionPage, { cameraProblem, openCamera, closeCamera, looksAtVisitor });
