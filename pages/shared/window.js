// What every page has in the browser: whether the window is a phone's, charts loaded early, and tables taken along as CSV.

const PHONE = window.matchMedia("(max-width: 640px)");

// The table above the button that was clicked, as a file; a cell that a spreadsheet would take for a formula gets a quote.
function takeTable({ target }) {
  const button = target.closest?.(".kp-csv");
  if (!button) return;
  const said = (cell) => cell.innerText.trim().replace(/^(?=[=@]|[+-](?![\d.]))/, "'").replaceAll('"', '""');
  const rows = [...button.parentNode.querySelector("table").rows];
  const lines = rows.map((row) => [...row.cells].map((cell) => `"${said(cell)}"`).join(","));
  const link = document.createElement("a");
  link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(`\ufeff${lines.join("\r\n")}`)}`;
  link.download = "kneepoint-table.csv";
  link.click();
}

export default function ({ data, setStateValue }) {
  if (data.plotScript) import(new URL(data.plotScript, document.baseURI).href);
  const report = () => setStateValue("narrow", PHONE.matches);
  PHONE.addEventListener("change", report);
  document.addEventListener("click", takeTable);
  if (PHONE.matches) report();
  return () => {
    PHONE.removeEventListener("change", report);
    document.removeEventListener("click", takeTable);
  };
}
