/** What the page says: its character's words, and whose models are at work. */

const ROLES = { ears: "ears", mind: "mind", speaker: "voice" };
const TEXTS = {
  motto: "motto",
  "welcome-title": "invitation",
  "welcome-text": "text",
  "slips-none": "nothing",
  "voice-title": "voice",
  "their-lane": "lane",
};

/** Puts the words and the sign of a character onto the page. */
export function dress(page) {
  document.title = `vivavoce — ${page.title}`;
  for (const [id, name] of Object.entries(TEXTS)) document.getElementById(id).textContent = page[name];
  document.getElementById("state").textContent = page.states.closed;
  document.getElementById("slips").setAttribute("aria-label", page.slips);
  document.getElementById("ideas").replaceChildren(
    ...page.ideas.map((idea) => {
      const item = document.createElement("li");
      item.append(Object.assign(document.createElement("button"), { type: "button", textContent: idea }));
      return item;
    }),
  );
  const sign = new DOMParser().parseFromString(page.sign, "image/svg+xml").documentElement;
  if (sign.nodeName === "svg") document.getElementById("sign").replaceWith(sign);
}

/** Says who hears, thinks and speaks, and under which licence. */
export function credit(place, parts) {
  place.replaceChildren(
    ...parts.map(({ role, name, licence, credit }) => {
      const row = document.createElement("li");
      const value = document.createElement("b");
      value.textContent = name;
      row.append(`${ROLES[role]} `, value, licence ? ` (${licence})` : "");
      row.title = credit;
      return row;
    }),
  );
}
