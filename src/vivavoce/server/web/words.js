/** What the page says: a tavern's words, or those of an assistant for everything, where the mind is not the tavern's. */

const TAVERN = {
  title: "vivavoce — the counter is open",
  motto: (name) => `The ${name} answers aloud.`,
  states: {
    opening: "Opening the line …",
    open: "The house is listening",
    quiet: "The house reads along",
    waiting: "The line broke; trying again …",
    closed: "The counter is quiet",
    refused: "The house cannot take you in",
  },
};

const GENERAL = {
  title: "vivavoce — talk about anything",
  motto: () => "Ask aloud; it answers aloud.",
  states: {
    opening: "Connecting …",
    open: "Listening",
    quiet: "Reading along",
    waiting: "The line broke; trying again …",
    closed: "Not connected",
    refused: "It cannot be reached",
  },
  texts: {
    "welcome-title": "Talk about anything.",
    "welcome-text": "Press Talk and ask. Talk over the answer whenever you want; it stops and remembers what you heard.",
    "slips-none": "Nothing called yet.",
    "voice-title": "The voice",
    "their-lane": "the answer",
  },
  ideas: [
    "What is the capital of France?",
    "Why is the sky blue?",
    "Give me an idea for a simple dinner.",
    "What did you just say?",
  ],
};

const ROLES = { ears: "ears", mind: "mind", speaker: "voice" };

/** The words for a character; puts those of a general assistant onto the page. */
export function wording({ general }) {
  if (!general) return TAVERN;
  document.title = GENERAL.title;
  for (const [id, text] of Object.entries(GENERAL.texts)) document.getElementById(id).textContent = text;
  const ideas = document.querySelectorAll("#ideas button");
  GENERAL.ideas.forEach((text, place) => (ideas[place].textContent = text));
  document.querySelector("aside").setAttribute("aria-label", "Calls and voice");
  document.getElementById("slips").setAttribute("aria-label", "Calls");
  document.getElementById("state").textContent = GENERAL.states.closed;
  return GENERAL;
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
