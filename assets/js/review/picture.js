// One picture, as large as the screen lets it be: zoom by wheel, fingers and keys, move it, show its mask.
import { button, fill, h } from "./dom.js";
import { file } from "./api.js";

const STEP = 1.4;
const MOST = 12;
const MOVE = 60;

/**
 * Pictures that were fetched and decoded before they are needed; the oldest are let go.
 * @param {number} [room]
 */
export const makeShelf = (room = 16) => {
  /** @type {Map<string, Promise<HTMLImageElement>>} */
  const shelf = new Map();
  const fetched = async (address) => {
    const { blob } = await file(address);
    const image = new Image();
    image.src = URL.createObjectURL(blob);
    await image.decode();
    return image;
  };
  const letGo = (address) => {
    shelf
      .get(address)
      ?.then((image) => URL.revokeObjectURL(image.src))
      .catch(() => {});
    shelf.delete(address);
  };
  /** @param {string} address */
  return (address) => {
    const there = shelf.get(address);
    const picture = there ?? fetched(address);
    shelf.delete(address);
    shelf.set(address, picture);
    if (!there) picture.catch(() => shelf.delete(address));
    if (shelf.size > room) letGo(shelf.keys().next().value);
    return picture;
  };
};

/**
 * The frame; `show` puts an item into it.
 * @param {{shelf: (address: string) => Promise<HTMLImageElement>, announce: (said: string) => void}} studio
 */
export const makePicture = ({ shelf, announce }) => {
  let [scale, x, y] = [1, 0, 0];
  let item = null;
  let masked = false;
  const pointers = new Map();
  const stage = h("div", { class: "rv-stage" });
  const frame = h(
    "div",
    {
      class: "rv-frame",
      tabindex: "0",
      role: "group",
      "aria-label": "Picture. Plus and minus zoom, zero fits, arrows move it.",
    },
    stage,
  );
  const mask = button("Mask", () => toggleMask(), { key: "M", "aria-pressed": "false" });
  const place = h("span", { class: "df-dim rv-scale" }, "100 %");

  const draw = () => {
    const room = { x: ((scale - 1) * frame.clientWidth) / 2, y: ((scale - 1) * frame.clientHeight) / 2 };
    x = Math.max(-room.x, Math.min(room.x, x));
    y = Math.max(-room.y, Math.min(room.y, y));
    stage.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    frame.classList.toggle("rv-zoomed", scale > 1);
    place.textContent = `${Math.round(100 * scale)} %`;
  };
  /** Zoom, keeping what is under a point (from the middle of the frame) where it is. */
  const zoomBy = (factor, at = { x: 0, y: 0 }) => {
    const next = Math.max(1, Math.min(MOST, scale * factor));
    x = at.x - (at.x - x) * (next / scale);
    y = at.y - (at.y - y) * (next / scale);
    scale = next;
    draw();
  };
  const fit = () => {
    [scale, x, y] = [1, 0, 0];
    draw();
  };
  const moveBy = (right, down) => {
    x += right;
    y += down;
    draw();
  };
  const fromMiddle = (event) => {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  };

  frame.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoomBy(
        Math.exp((-Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 120)) / 400),
        fromMiddle(event),
      );
    },
    { passive: false },
  );
  frame.addEventListener("dblclick", (event) => (scale > 1 ? fit() : zoomBy(STEP * STEP, fromMiddle(event))));
  frame.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, fromMiddle(event));
    if (scale > 1 || pointers.size > 1) frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = fromMiddle(event);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
      zoomBy(apart(now) / apart(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else moveBy(now.x - before.x, now.y - before.y);
    pointers.set(event.pointerId, now);
  });
  for (const kind of ["pointerup", "pointercancel", "pointerleave"]) {
    frame.addEventListener(kind, (event) => pointers.delete(event.pointerId));
  }

  const put = async (address, words) => {
    const wanted = item;
    const late = setTimeout(
      () => wanted === item && fill(stage, h("p", { class: "rv-no-picture" }, "Loading the picture…")),
      150,
    );
    try {
      const image = await shelf(address);
      if (wanted !== item) return;
      image.alt = words;
      image.draggable = false;
      fill(stage, image);
    } catch (error) {
      if (wanted !== item) return;
      if (masked) {
        masked = false;
        mask.hidden = true;
        redraw();
        announce(error.message);
      } else
        fill(
          stage,
          h("p", { class: "rv-no-picture" }, `There is no picture to show. ${error.message ?? ""}`),
        );
    } finally {
      clearTimeout(late);
    }
  };
  const redraw = () => {
    const words = `Picture of item ${item.position}${masked ? ", with what was measured drawn on it" : ""}`;
    mask.setAttribute("aria-pressed", String(masked));
    return put(masked ? item.overlay_url : item.image_url, words);
  };
  const toggleMask = () => {
    if (!item?.overlay_url) return;
    masked = !masked;
    redraw();
    announce(masked ? "Mask shown" : "Mask hidden");
  };

  const isZoomed = () => scale > 1;
  const steps = { arrowleft: [MOVE, 0], arrowright: [-MOVE, 0], arrowup: [0, MOVE], arrowdown: [0, -MOVE] };
  return {
    node: h(
      "div",
      { class: "rv-picture" },
      frame,
      h(
        "div",
        { class: "df-row rv-tools" },
        button("Larger", () => zoomBy(STEP), { key: "+" }),
        button("Smaller", () => zoomBy(1 / STEP), { key: "-" }),
        button("Fit", fit, { key: "0" }),
        place,
        mask,
      ),
    ),
    /** @param {any} shown */
    show: (shown) => {
      item = shown;
      masked = false;
      mask.hidden = !item.overlay_url;
      fit();
      return redraw();
    },
    keys: [
      { key: "+", says: "Larger", run: () => zoomBy(STEP) },
      { key: "-", says: "Smaller", run: () => zoomBy(1 / STEP) },
      { key: "0", says: "Fit the picture", run: fit },
      ...Object.entries(steps).map(([key, [right, down]]) => ({
        key,
        shown: "← ↑ → ↓",
        says: key === "arrowleft" ? "Move the enlarged picture" : "",
        run: () => moveBy(right, down),
        when: isZoomed,
      })),
      { key: "m", says: "Show or hide the mask", run: toggleMask, when: () => Boolean(item?.overlay_url) },
    ],
  };
};
