// Judging duplicates by keyboard, while a group has the focus: C confirms, D dismisses, U undoes,
// arrows go from group to group. After a decision the next group has the focus.
(() => {
  const ACTIONS = { c: "confirm", d: "dismiss" };
  const groups = () => [...document.querySelectorAll(".df-group")].filter((group) => group.offsetParent);
  let place = null;

  const press = (group, target, action) => {
    const scope = target.closest('[data-pair]:not([data-pair=""])') ?? group.querySelector(".df-group-actions");
    scope?.querySelector(`[data-action="${action}"]`)?.click();
  };

  document.addEventListener("keydown", (event) => {
    const group = event.target.closest?.(".df-group");
    if (!group || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const all = groups();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      all[all.indexOf(group) + step]?.focus();
    }
    const action = ACTIONS[event.key.toLowerCase()];
    if (action) press(group, event.target, action);
    if (event.key.toLowerCase() === "u") {
      place = all.indexOf(group);
      document.getElementById(group.dataset.undo)?.click();
    }
  });

  // Whatever the person does next, focus is theirs again.
  for (const kind of ["pointerdown", "keydown"]) {
    document.addEventListener(kind, () => { place = null; }, true);
  }

  document.addEventListener("click", (event) => {
    const group = event.target.closest(".df-group");
    if (group && event.target.closest("[data-action]")) place = groups().indexOf(group);
  });

  const refocus = () => {
    if (place === null || document.activeElement !== document.body) return;
    const all = groups();
    const next = all[Math.min(place, all.length - 1)] ?? document.querySelector('.df-empty[tabindex="-1"]');
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
  };
  new MutationObserver(refocus).observe(document.documentElement, { childList: true, subtree: true });
})();
