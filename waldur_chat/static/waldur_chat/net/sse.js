// Server-sent events out of bytes, however these are cut.
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

export class EventParser {
  retry; // milliseconds before resuming, once the stream has set it
  #decoder = new TextDecoder(); // holds back half a character, drops a leading byte order mark
  #line = "";
  #afterReturn = false; // the last piece ended in CR: a LF now belongs to it
  #data = [];
  #type = "";
  #id = "";

  /** Yield each event {type, data, id} that these bytes complete. */
  *feed(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return;
    if (this.#afterReturn && text[0] === "\n") text = text.slice(1);
    this.#afterReturn = text.endsWith("\r");
    const lines = text.split(/\r\n|\r|\n/);
    lines[0] = this.#line + lines[0];
    this.#line = lines.pop();
    for (const line of lines) {
      if (line !== "") this.#take(line);
      else if (this.#data.length > 0) yield this.#event();
      else this.#type = "";
    }
  }

  #take(line) {
    const colon = line.indexOf(":"); // at 0: a comment, whose name "" nobody knows
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }

  #event() {
    const event = { type: this.#type || "message", data: this.#data.join("\n"), id: this.#id };
    this.#data = [];
    this.#type = "";
    return event;
  }
}
