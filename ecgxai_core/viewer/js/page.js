/* page.js: only in a page of its own: show the payload that stands in the page. */

{
  const parentElement = document.getElementById("viewer");
  const data = JSON.parse(document.getElementById("payload").textContent);
  const draw = () => ecgViewer({ data, parentElement, setTriggerValue: () => {} });
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
