// The page of one virtual machine. What is decoded and drawn is in the worker; this has what a person sees and touches.

import { failure, worker } from "./start.js";
import { run } from "./ui/app.js";

run(worker, failure);
