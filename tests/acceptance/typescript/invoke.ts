// The reference's call: node build/invoke.js ADDRESS TOKEN
import { client } from "./client/client.gen.js";
import { chatInvoke } from "./client/index.js";

const [address, token] = process.argv.slice(2);
client.setConfig({ baseUrl: address });

const { data, error } = await chatInvoke({ auth: `Token ${token}` });
console.log(JSON.stringify(data ?? error));
