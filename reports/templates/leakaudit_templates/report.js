(function () {
  "use strict";
  var all = function (query) { return Array.prototype.slice.call(document.querySelectorAll(query)); };

  // A link to what stands in a closed detail opens it.
  var reveal = function () {
    var found = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var one = found; one; one = one.parentElement) {
      if (one.tagName === "DETAILS") { one.open = true; }
    }
    if (found) { found.scrollIntoView(); }
  };
  window.addEventListener("hashchange", reveal);
  reveal();

  var tools = document.querySelector(".tools");
  if (!tools) { return; }
  tools.hidden = false;

  // The tools are about rows of folded tables, so using them opens these.
  var unfold = function () { all("#matrix > .fold").forEach(function (one) { one.open = true; }); };

  var rows = document.getElementById("rows");
  rows.addEventListener("change", function () {
    unfold();
    all("tr.cell").forEach(function (row) {
      var ok = row.dataset.state === "ok";
      var shown = rows.value === "all" ||
        (rows.value === "ok" && ok) ||
        (rows.value === "other" && !ok) ||
        (rows.value === "worst" && row.classList.contains("worst"));
      row.hidden = !shown;
      row.nextElementSibling.hidden = !shown;
    });
  });

  var button = document.getElementById("details");
  var open = false;
  button.addEventListener("click", function () {
    unfold();
    open = !open;
    all("tr.more details").forEach(function (one) { one.open = open; });
    button.textContent = open ? "Close all rows" : "Open all rows";
  });
})();
