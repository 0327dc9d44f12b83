// The reference's call: node build/stream.js ADDRESS TOKEN
import { client } from "./client/client.gen.js";
import { chatStream } from "./client/index.js";

const [address, token] = process.argv.slice(2);
client.setConfig({ baseUrl: address });

const { stream } = await chatStream({ auth: `Token ${token}`, body: { input: "string-value" } });
for await (const event of stream) {
  // The generator parses the data of each event, though the document calls the whole stream one string.
  process.stdout.write((event as unknown as { c?: string }).c ?? "");
}
