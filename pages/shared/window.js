// What every page has in the browser: how wide it is, charts loaded early, tables taken along as CSV, and the keyboard's
// place kept (focus.js).

// A phone, upright or beside the sidebar, which Streamlit opens from 768 pixels on; a small tablet; a window enlarged.
const NARROW = window.matchMedia("(max-width: 640px), (min-width: 768px) and (max-width: 1000px)");
// Beside the sidebar a page of up to 840 pixels, too little for large type and all of its words.
const SNUG = window.matchMedia("(min-width: 1001px) and (max-width: 1200px)");

// The table above the button that was clicked, as a file; a cell that a spreadsheet would take for a formula gets a quote.
function takeTable({ target }) {
  const button = target.closest?.(".kp-csv");
  if (!button) return;
  const plain = (cell) => cell.innerText.trim().replaceAll("\u00a0", " ");
  const said = (cell) => plain(cell).replace(/^(?=[=@]|[+-](?![\d.]))/, "'").replaceAll('"', '""');
  const rows = [...button.parentNode.querySelector("table").rows];
  const lines = rows.map((row) => [...row.cells].map((cell) => `"${said(cell)}"`).join(","));
  const link = document.createElement("a");
  link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(`\ufeff${lines.join("\r\n")}`)}`;
  link.download = "kneepoint-table.csv";
  link.click();
}

export default function ({ data, setStateValue }) {
  if (data.plotScript) import(new URL(data.plotScript, document.baseURI).href);
  const width = () => (NARROW.matches ? "narrow" : SNUG.matches ? "snug" : "wide");
  const report = () => setStateValue("width", width());
  for (const query of [NARROW, SNUG]) query.addEventListener("change", report);
  document.addEventListener("click", takeTable);
  const letFocusGo = keepFocus();
  if (width() !== "wide") report();
  return () => {
    for (const query of [NARROW, SNUG]) query.removeEventListener("change", report);
    document.removeEventListener("click", takeTable);
    letFocusGo();
  };
}
