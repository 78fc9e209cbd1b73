// What things are called, and how numbers and moments are said.

export const KINDS = {
  captions: "Captions of images",
  images: "Generated images",
  real_or_synthetic: "Real or synthetic",
};
export const STRATEGIES = {
  stratified: "A balanced draw",
  flagged: "What the checks flagged",
  active: "Where sources disagree most",
};
export const ANSWERS = {
  approve: { does: "Approve", done: "Approved", key: "a" },
  edit: { does: "Edit", done: "Edited", key: "e" },
  reject: { does: "Reject", done: "Rejected", key: "r" },
  real: { does: "Real", done: "Called real", key: "r" },
  synthetic: { does: "Synthetic", done: "Called synthetic", key: "s" },
  skip: { does: "Skip", done: "Skipped", key: "k" },
  flag: { does: "Flag", done: "Flagged", key: "f" },
};
export const MARKS = { approve: "Yes", edit: "Edited", reject: "No", unsure: "Unsure" };
export const SEVERITIES = { error: "Error", warning: "Warning", note: "Note" };
export const FIELDS = { colour: "Colour", colours: "Colours" };
export const WHY = {
  flagged: "Flagged for discussion",
  answers: "The verdicts differ",
  texts: "The texts differ",
};

/** @param {string} name as in the API @returns {string} */
export const said = (name) => {
  const words = FIELDS[name] ?? String(name).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
};

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) =>
  `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** @param {number | null} seconds @returns {string} */
export const duration = (seconds) => {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return "less than a minute";
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `about ${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `about ${hours} h ${minutes % 60} min` : `about ${Math.round(hours / 24)} days`;
};

/** @param {string | null} moment @returns {string} */
export const when = (moment) =>
  moment ? new Date(moment).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "";

/** @param {number | null} value */
export const number = (value) =>
  value === null || value === undefined ? "" : value.toFixed(2).replace("-", "−");

/** @param {number | null} share */
export const percent = (share) =>
  share === null || share === undefined ? "" : `${(100 * share).toFixed(1)} %`;
