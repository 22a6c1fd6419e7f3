// The keyboard's place: where what has the focus is taken away, as a closed panel or a result out of the tray, the focus
// goes to what stands there now instead of falling to the page's beginning.

const FOCUSABLE = "a[href], button:not(:disabled), input:not(:disabled), textarea:not(:disabled), [tabindex='0']";
const SETTLING_MS = 50;

// What can have the focus in a part of the page, in the order of Tab; without what is folded away, and the hidden copies
// by which Streamlit finds out how wide its buttons are.
function focusable(part) {
  return [...part.querySelectorAll(FOCUSABLE)].filter((one) => one.checkVisibility({ visibilityProperty: true }));
}

// Every part of the page around an element, the closest first, and how many things in it come before the element.
function placesOf(element) {
  const places = [];
  const main = element.closest?.("[data-testid=stMain]");
  for (let part = main && element.parentElement; part && part !== main; part = part.parentElement) {
    places.push({ part, before: focusable(part).indexOf(element) });
  }
  return places;
}

// Look after the focus until what is returned is called.
function keepFocus() {
  let focused = null, places = [], address = "", waiting = 0;
  const remember = ({ target }) => {
    [focused, places, address] = [target, placesOf(target), location.pathname];
  };
  const restore = () => {
    const app = document.querySelector("[data-testid=stApp]");
    if (app?.dataset.testScriptState === "running") waiting = setTimeout(restore, SETTLING_MS);
    else if (document.activeElement === document.body && location.pathname === address) {
      for (const { part, before } of places) {
        const there = part.isConnected ? focusable(part) : [];
        if (there.length) return there[Math.min(Math.max(before, 0), there.length - 1)].focus({ preventScroll: true });
      }
    }
  };
  const look = () => {
    if (!focused || focused.isConnected) return;
    focused = null;
    clearTimeout(waiting);
    waiting = setTimeout(restore, SETTLING_MS);
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, { childList: true, subtree: true });
  document.addEventListener("focusin", remember);
  return () => {
    observer.disconnect();
    clearTimeout(waiting);
    document.removeEventListener("focusin", remember);
  };
}
