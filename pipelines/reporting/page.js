"use strict";
// Flicker, keys and copying. Without this script the views are still chosen by their buttons.
(() => {
  const viewers = [...document.querySelectorAll(".viewer")];
  const running = new Map();

  const choose = (viewer, key) => {
    const input = viewer.querySelector(`input[data-key="${key}"]`);
    if (input) input.checked = true;
  };
  const stop = (viewer) => {
    const now = running.get(viewer);
    if (!now) return;
    clearInterval(now.timer);
    now.button.setAttribute("aria-pressed", "false");
    running.delete(viewer);
  };
  const flicker = (viewer, button) => {
    const same = running.get(viewer)?.button === button;
    stop(viewer);
    if (same) return;
    const pair = button.dataset.flicker.split(" ");
    let turn = 0;
    const show = () => choose(viewer, pair[turn++ % 2]);
    show();
    button.setAttribute("aria-pressed", "true");
    running.set(viewer, { button, timer: setInterval(show, 600) });
  };
  // keys act on the viewer that has the focus, else on the one nearest to the middle of the window
  const meant = () => {
    const focused = document.activeElement?.closest(".viewer");
    if (focused) return focused;
    const middle = innerHeight / 2;
    const away = (viewer) => {
      const box = viewer.getBoundingClientRect();
      return Math.max(box.top - middle, middle - box.bottom, 0);
    };
    return viewers.reduce((best, one) => (!best || away(one) < away(best) ? one : best), null);
  };

  for (const viewer of viewers) {
    viewer.querySelector(".flickers").hidden = false;
    viewer.addEventListener("change", () => stop(viewer));
    for (const button of viewer.querySelectorAll("[data-flicker]"))
      button.addEventListener("click", () => flicker(viewer, button));
  }
  const keys = { f: "fixed aligned", b: "came aligned", c: "came-contours contours" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const viewer = meant();
    if (!viewer) return;
    const input = viewer.querySelectorAll("input[data-key]")[Number(event.key) - 1];
    if (input) {
      stop(viewer);
      input.checked = true;
    }
    const button = viewer.querySelector(`[data-flicker="${keys[event.key]}"]`);
    if (button) flicker(viewer, button);
    if (event.key === "Escape") stop(viewer);
  });
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(text);
        button.textContent = "Selected: press Ctrl-C";
      }
    });
  }
})();
