// The chosen colours, before anything is drawn: no flash of the others. Not a module, because modules come later.

(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Without storage, the system's colours it is.
  }
})();
