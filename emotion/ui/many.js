// @ts-check
/**
 * Several pictures at once: one after the other to the server, a row per face in a table that can be
 * sorted and saved. It runs once, after shrinking.js and in its scope.
 *
 * @typedef {{file: File, path: string}} Given
 * @typedef {{given: Given, at: number, face: number, found: any, node: HTMLTableRowElement}} TableRow
 *          at: number of the picture; found: a face as /classify gives it, or null
 */
const MOST_PICTURES = 1000;
const THUMBNAIL = 112; // px of a face's picture, shown at half of that
const PICTURE_FILE = /\.(jpe?g|png|webp|hei[cf]|avif|bmp|gif|tiff?)$/i;

/** Every file that was dropped, those in folders too. @param {DataTransfer} transfer */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  if (!entries.some((entry) => entry?.isDirectory))
    return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) if (entry) await gather(entry, found);
  return found;
}

/** @param {any} entry a FileSystemEntry @param {Given[]} found */
async function gather(entry, found) {
  if (found.length > MOST_PICTURES) return;
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    if (file) found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A browser hands out a hundred at a time.
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) return;
    for (const one of some) await gather(one, found);
  }
}

class Many {
  /**
   * @param {HTMLElement} node @param {{bytes: number, pixels: number}} most
   * @param {(file: File) => void} open shows one picture with its cards
   * @param {() => void} shown called when the table is to be seen
   */
  constructor(node, most, open, shown) {
    this.node = node;
    this.most = most;
    this.open = open;
    this.shown = shown;
    const find = (selector) => node.querySelector(selector);
    this.status = find(".em-told");
    this.bar = find("progress");
    this.body = find("tbody");
    this.failures = find(".em-failed");
    this.csv = find("[data-many=csv]");
    this.stopping = find("[data-many=stop]");
    this.csv.addEventListener("click", () => this.save());
    this.stopping.addEventListener("click", () => this.halt());
    for (const head of node.querySelectorAll("th"))
      head.querySelector("button").addEventListener("click", () => this.sort(head));
    this.close();
  }

  /** Whether there is a table to come back to. */
  get isOpen() {
    return this.rows.length > 0 || this.failed > 0;
  }

  close() {
    this.stop?.abort();
    /** @type {TableRow[]} */
    this.rows = [];
    this.failed = 0;
    this.body.replaceChildren();
    this.failures.querySelector("ul").replaceChildren();
    this.failures.hidden = true;
    for (const head of this.node.querySelectorAll("th")) head.removeAttribute("aria-sort");
  }

  focus() {
    this.node.querySelector("[data-do=others]").focus();
  }

  halt() {
    this.stop.abort();
    this.csv.focus();
  }

  /** @param {Given[]} files */
  async start(files) {
    this.close();
    const stop = (this.stop = new AbortController());
    const isPicture = ({ file, path }) => file.type.startsWith("image/") || PICTURE_FILE.test(path);
    const pictures = files.filter(isPicture).slice(0, MOST_PICTURES);
    for (const given of files.filter((one) => !isPicture(one)))
      this.fail(given.path, say("many_no_picture"));
    const beyond = files.filter(isPicture).length - pictures.length;
    if (beyond > 0) this.fail(say("many_others", { count: beyond }), say("many_too_many", { most: MOST_PICTURES }));
    this.stopping.hidden = this.bar.hidden = false;
    this.csv.disabled = true;
    this.shown();
    const began = performance.now();
    let done = 0;
    for (const given of pictures) {
      this.progress(done, pictures.length, (performance.now() - began) / 1000);
      try {
        await this.add(given, done, stop.signal);
      } catch (error) {
        if (stop.signal.aborted) break;
        this.fail(given.path, failure(error));
      }
      done++;
    }
    if (stop !== this.stop) return; // other pictures came meanwhile
    this.stopping.hidden = this.bar.hidden = true;
    this.csv.disabled = !this.rows.length;
    this.summarise(pictures.length - done);
  }

  progress(done, count, seconds) {
    this.bar.value = done / count;
    const left = Math.round((seconds / Math.max(done, 1)) * (count - done));
    const words = done < 3 ? say("many_working", { done: done + 1, count })
      : say("many_working_left", { done: done + 1, count, left: lasting(left) });
    // Screen readers would say every step; they are told the start, each tenth part and the end.
    const steps = Math.max(1, Math.round(count / 10));
    this.status.setAttribute("aria-live", done % steps ? "off" : "polite");
    this.status.textContent = words;
  }

  summarise(left) {
    const pictures = new Set(this.rows.map(({ at }) => at));
    const faces = this.rows.filter(({ found }) => found).length;
    const without = this.rows.length - faces;
    this.status.setAttribute("aria-live", "polite");
    this.status.textContent = [
      say("many_done", { pictures: pictures.size, faces }),
      without ? say("many_without", { count: without }) : "",
      this.failed ? say("many_failures", { count: this.failed }) : "",
      left ? say("many_left", { count: left }) : "",
    ].filter(Boolean).join(" · ");
  }

  /** @param {Given} given @param {number} at @param {AbortSignal} signal */
  async add(given, at, signal) {
    const sent = await fit(given.file, this.most);
    const faces = await requestPatiently("POST", "classify", sent, {
      signal, type: "application/octet-stream",
    });
    if (signal.aborted) throw new SendError("send_cancelled");
    for (const face of faces) face.probabilities = facts.labels.map((name) => face.probabilities[name]);
    const image = faces.length ? await pictureOf(given.file) : null;
    (faces.length ? faces : [null]).forEach((found, index) => {
      const row = { given, at, face: index + 1, found, node: document.createElement("tr") };
      this.fill(row, image, faces.length);
      this.rows.push(row);
      this.body.append(row.node);
    });
  }

  /** @param {TableRow} row @param {HTMLImageElement | null} image @param {number} count of faces there */
  fill({ given, face, found, node }, image, count) {
    const cell = (kind = "td") => node.appendChild(document.createElement(kind));
    // Where the columns do not fit side by side, a cell says itself what it is.
    const titled = (key) => Object.assign(cell(), { title: say(key) });
    const picture = cell();
    if (found && image) picture.append(thumbnail(image, found));
    const name = /** @type {HTMLTableCellElement} */ (cell("th"));
    name.scope = "row";
    const button = name.appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = given.path;
    button.addEventListener("click", () => this.open(given.file));
    if (count > 1) name.append(` ${say("face_n", { n: face }).replace(" ", "\u00a0")}`);
    const answer = cell();
    answer.textContent = found ? verdict(found).name : say("many_no_face");
    if (found) answer.style.setProperty("--accent", colorOf(found));
    titled("many_sure").textContent = found ? say(found.sure ? "many_yes" : "many_no") : "";
    titled("many_calm").textContent = found && found.calm !== null ? `${percent(found.calm)} %` : "";
    facts.labels.forEach((label, index) => {
      const one = titled(label);
      one.style.setProperty("--accent", facts.colors[index]);
      if (!found) return;
      one.textContent = `${percent(found.probabilities[index])} %`;
      one.toggleAttribute("data-top", found.answer === label);
    });
  }

  fail(name, sentence) {
    this.failed++;
    const line = this.failures.querySelector("ul").appendChild(document.createElement("li"));
    const told = line.appendChild(document.createElement("b"));
    told.textContent = name;
    line.append(` ${sentence}`);
    this.failures.hidden = false;
  }

  /** @param {HTMLTableCellElement} head */
  sort(head) {
    const key = head.dataset.sort;
    const words = key === "many_name" || key === "many_answer";
    const before = head.getAttribute("aria-sort");
    const rising = before ? before === "descending" : words;
    for (const other of this.node.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const value = valueOf(key);
    const order = (one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === null || b === null) return Number(a === null) - Number(b === null); // always last
      const sign = typeof a === "string" ? a.localeCompare(b, language) : a - b;
      return (rising ? sign : -sign) || one.at - other.at || one.face - other.face;
    };
    this.body.append(...[...this.rows].sort(order).map(({ node }) => node));
  }

  save() {
    const name = `emotion-${new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-")}.csv`;
    saveFile(csvOf(this.rows), name);
  }
}

/** What rows are sorted by. @param {string} key @returns {(row: TableRow) => any} */
function valueOf(key) {
  if (key === "many_name") return ({ given }) => given.path;
  const of = {
    many_answer: (found) => verdict(found).name,
    many_sure: (found) => Number(found.sure),
    many_calm: (found) => found.calm,
  }[key] ?? ((found) => found.probabilities[facts.labels.indexOf(key)]);
  return ({ found }) => (found ? of(found) : null);
}

/** The face in a square, with a little around it. @param {HTMLImageElement} image */
function thumbnail(image, { box, picture }) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = THUMBNAIL;
  const [x0, y0, x1, y1] = box;
  const scale = image.naturalWidth / picture.width; // what was sent may have been smaller
  const side = 1.3 * Math.max(x1 - x0, y1 - y0) * scale;
  const [left, top] = [((x0 + x1) / 2) * scale - side / 2, ((y0 + y1) / 2) * scale - side / 2];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left, top, side, side, 0, 0, THUMBNAIL, THUMBNAIL);
  return canvas;
}

/** The columns of `classify --all-faces`, in the order of the pictures. @param {TableRow[]} rows */
function csvOf(rows) {
  const head = [
    "filepath", ...facts.labels, "face", "x", "y", "width", "height", "label", "answer", "sure", "calm",
  ];
  const lines = rows.map(({ given, face, found }) => {
    if (!found) return [given.path, ...Array(head.length - 1).fill("")];
    const [x0, y0, x1, y1] = found.box;
    return [
      given.path, ...found.probabilities.map((value) => value.toFixed(4)), face,
      ...[x0, y0, x1 - x0, y1 - y0].map((value) => value.toFixed(1)),
      found.label, found.answer, Number(found.sure), found.calm === null ? "" : found.calm.toFixed(4),
    ];
  });
  return csvFile([head, ...lines]);
}

/** @param {number} seconds */
const lasting = (seconds) =>
  seconds < 60 ? say("seconds", { count: seconds }) : say("minutes", { count: Math.round(seconds / 60) });

Object.assign(window.emotionPage, { Many, filesOf, lasting });
