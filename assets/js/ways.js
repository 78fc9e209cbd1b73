// Buttons of our own HTML that lead to another tab. One that leads to Review may say which captions a new
// set is to be made of: the review screen takes that up when it is shown (assets/js/review/app.js).
(() => {
  const MAKE = "dermaflux.review.make";

  document.addEventListener("click", (event) => {
    const way = event.target.closest("button[data-goes]");
    if (!way) return;
    if (way.dataset.make) sessionStorage.setItem(MAKE, way.dataset.make);
    const tab = document.querySelector(`[role="tab"][data-tab-id="${way.dataset.goes}"]`);
    tab?.click();
    tab?.focus();
  });
})();
