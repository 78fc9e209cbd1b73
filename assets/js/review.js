// The Review tab is a page of its own (assets/js/review): fetched when the tab is first seen, or when the
// browser holds something that is not saved yet; and quiet while it is not seen.
(() => {
  // Gradio reloads the page after a lost network: whoever was reviewing goes on reviewing.
  const PLACE = "dermaflux.review.place";
  const OUTBOX = "dermaflux.review.outbox";
  const wasHere = sessionStorage.getItem(PLACE) !== null;
  const isLeft = (localStorage.getItem(OUTBOX) ?? "[]") !== "[]";
  let isBack = !wasHere;
  let host = null;
  let app = null;
  let loading = null;
  let wasSeen = false;

  const isSeen = () => Boolean(host?.isConnected && host.offsetParent !== null && !document.hidden);

  const look = async () => {
    host = document.getElementById("review-host");
    const tab = isBack ? null : document.querySelector('[role="tab"][data-tab-id="review"]');
    if (tab) {
      isBack = true;
      tab.click();
    }
    const seen = isSeen();
    if ((seen || isLeft) && !loading)
      loading = import("/assets/js/review/app.js").then(({ mount }) => {
        app = mount(isSeen);
      });
    if (seen) await loading;
    // Beside the text block, not inside: its typography is made for prose.
    const home = host?.closest(".block");
    if (app && home && app.root.parentElement !== home) home.append(app.root);
    if (app && seen && !wasSeen) app.shown();
    if (wasSeen && !seen && !document.hidden) sessionStorage.removeItem(PLACE);
    wasSeen = seen;
  };

  let due = false;
  const lookSoon = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      look();
    });
  };
  new MutationObserver(lookSoon).observe(document.documentElement, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["style", "class", "hidden"],
  });
  document.addEventListener("visibilitychange", lookSoon);
})();
