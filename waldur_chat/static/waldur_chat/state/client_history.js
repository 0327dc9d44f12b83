// Conversation history for servers that store none: each question includes the earlier exchanges.

/** Characters as the server counts them: an emoji is one, though JavaScript's `length` says two. */
export function countCharacters(text) {
  let pairs = 0;
  for (const _ of text.matchAll(/[\ud800-\udbff][\udc00-\udfff]/g)) pairs += 1;
  return text.length - pairs;
}

/** The question, preceded by as many of the latest exchanges {question, answer} as fit into `maxLength`. */
export function buildInput(exchanges, question, maxLength) {
  let input = `User: ${question}`;
  let room = maxLength - countCharacters(input);
  let hasHistory = false;
  for (const exchange of exchanges.filter(({ answer }) => answer).reverse()) {
    const part = `User: ${exchange.question}\n\nAssistant: ${exchange.answer}\n\n`;
    room -= countCharacters(part);
    if (room < 0) break;
    input = part + input;
    hasHistory = true;
  }
  return hasHistory ? input : question;
}
