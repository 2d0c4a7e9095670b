// Serves the page as it is in the tree, for a VM that runs elsewhere: what is changed is there after a reload, nothing
// is built. What is no file of the page is asked of the VM.
//
//   node serve.mjs [--port N] [--vm http://127.0.0.1:5980]

import { request } from "node:http";
import { connect } from "node:net";
import { parseArgs } from "node:util";

import { servePage } from "./server.mjs";

const { values } = parseArgs({
    options: { port: { type: "string", default: "0" }, vm: { type: "string", default: "http://127.0.0.1:5980" } },
});
const vm = new URL(String(values.vm));
const FROM_VM = ["/vm.json", "/power", "/spice"];

/** Headers as the VM's own page would send them. @param {import("node:http").IncomingHttpHeaders} headers */
function asIfThere(headers) {
    return { ...headers, host: vm.host, ...(headers.origin === undefined ? {} : { origin: vm.origin }) };
}

const { server, url } = await servePage({
    port: Number(values.port),
    others(asked, answer) {
        const { pathname } = new URL(asked.url ?? "/", vm);
        if (!FROM_VM.includes(pathname)) {
            return false;
        }
        const options = { method: asked.method, headers: asIfThere(asked.headers) };
        const upstream = request(new URL(pathname, vm), options, (got) => {
            answer.writeHead(got.statusCode ?? 502, got.headers);
            got.pipe(answer);
        });
        upstream.on("error", (error) => answer.writeHead(502).end(error.message));
        asked.pipe(upstream);
        return true;
    },
});
server.on("upgrade", (asked, socket, first) => {
    const upstream = connect(Number(vm.port || 80), vm.hostname, () => {
        const headers = Object.entries(asIfThere(asked.headers)).map(([name, value]) => `${name}: ${value}\r\n`);
        upstream.write(`GET ${asked.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
        upstream.write(first);
        upstream.pipe(socket);
        socket.pipe(upstream);
    });
    upstream.on("error", () => socket.destroy());
    socket.on("error", () => upstream.destroy());
});
console.log(url);
