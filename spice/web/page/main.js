// The page of one virtual machine. What is decoded and drawn is in the worker; this has what a person sees and touches.

import { run } from "./ui/app.js";

run(new Worker(new URL("worker.js", import.meta.url), { type: "module" }));
