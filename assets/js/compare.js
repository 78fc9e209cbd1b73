// The slider between two compared images: how far it is moved decides how much of the left shows.
document.addEventListener("input", (event) => {
  const slider = event.target.closest?.("input[data-compare]");
  if (slider) slider.parentElement.style.setProperty("--df-at", `${slider.value}%`);
});
