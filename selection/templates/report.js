(function () {
  "use strict";
  var picks = Array.prototype.slice.call(document.querySelectorAll(".pick"));
  var groups = Array.prototype.slice.call(document.querySelectorAll("#picks details"));
  var chips = Array.prototype.slice.call(document.querySelectorAll(".chip"));
  var query = document.getElementById("q");
  var hits = document.getElementById("hits");
  function apply() {
    var words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    var wanted = {};
    chips.forEach(function (chip) { wanted[chip.dataset.action] = chip.getAttribute("aria-pressed") === "true"; });
    var shown = 0;
    picks.forEach(function (pick) {
      var text = pick.dataset.text;
      var fits = wanted[pick.dataset.action] && words.every(function (word) { return text.indexOf(word) >= 0; });
      pick.hidden = !fits;
      pick.style.display = fits ? "" : "none";
      if (fits) shown += 1;
    });
    groups.forEach(function (group) {
      group.hidden = !Array.prototype.some.call(group.querySelectorAll(".pick"), function (pick) { return !pick.hidden; });
      if (words.length && !group.hidden) group.open = true;
    });
    document.getElementById("none").hidden = shown > 0;
    hits.textContent = shown + " / " + picks.length;
  }
  query.addEventListener("input", apply);
  chips.forEach(function (chip) {
    chip.addEventListener("click", function () {
      chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") === "true" ? "false" : "true");
      apply();
    });
  });
  document.getElementById("open").addEventListener("click", function () { groups.forEach(function (group) { group.open = true; }); });
  document.getElementById("close").addEventListener("click", function () { groups.forEach(function (group) { group.open = false; }); });
  apply();
})();
