// A Ray cluster of two nodes, each in a network namespace of its own: Ray listens on more than it's told to, and
// there nobody else can reach it. Needs root and iproute2.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { ARKOR, type Running, run } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { entry, jobOf } from "../support/real-run.ts";
import { folder, makeModel, PYTHON, stepsOf, upTo } from "./python.ts";

const NODES = ["arkor-ray-1", "arkor-ray-2"] as const;
const HEAD = "10.77.0.1:6379";
const RAY = path.join(path.dirname(PYTHON), "ray");
const CLUSTER = {
  RAY_AUTH_MODE: "token",
  RAY_AUTH_TOKEN: "only-for-this-test-0123456789abcdef",
  // Both nodes have the name of this machine, which is 127.0.0.1 in each.
  GLOO_SOCKET_IFNAME: "eth0",
};

const ip = (...args: string[]) => execFileSync("ip", args, { encoding: "utf8" });

function makeNetwork() {
  onTestFinished(() => {
    for (const node of NODES) {
      killAll(node);
      ip("netns", "del", node);
    }
  });
  for (const node of NODES) ip("netns", "add", node);
  const [first, second] = NODES;
  ip("link", "add", "eth0", "netns", first, "type", "veth", "peer", "eth0", "netns", second);
  for (const [index, node] of NODES.entries()) {
    ip("-n", node, "addr", "add", `10.77.0.${index + 1}/24`, "dev", "eth0");
    ip("-n", node, "link", "set", "eth0", "up");
    ip("-n", node, "link", "set", "lo", "up");
  }
}

/** Kills all processes of a node with SIGKILL. */
function killAll(node: string) {
  for (const pid of ip("netns", "pids", node).split("\n").filter(Boolean)) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has already ended, together with another one.
    }
  }
}

function on(node: string, command: string[], options: Parameters<typeof run>[2]): Running {
  return run("ip", ["netns", "exec", node, ...command], options);
}

async function startNode(index: number, cwd: string, more: string[]) {
  // The paths of Ray's sockets must be short.
  const scratch = path.join(
    "/tmp",
    `arkor-ray-${process.pid}-${index}-${Math.trunc(performance.now())}`,
  );
  onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
  const options = [
    "--num-cpus=1",
    "--disable-usage-stats",
    "--object-store-memory=80000000",
    "--block",
  ];
  const address = `--node-ip-address=10.77.0.${index + 1}`;
  const args = ["start", ...more, address, `--temp-dir=${scratch}`, ...options];
  const node = on(NODES[index], [RAY, ...args], { cwd, env: CLUSTER });
  await node.until("stdout", /Ray runtime started/);
}

it("trains on two nodes; one dies, and the run goes on with its successor, each event once", async () => {
  makeNetwork();
  const steps = { maxSteps: 1000, saveSteps: 100 };
  const project = new Project({ "src/arkor/index.ts": entry(steps, { asks: false }) });
  const base = makeModel(path.join(folder(), "llama"), "llama");
  await startNode(0, project.cwd, ["--head", "--port=6379", "--include-dashboard=false"]);
  await startNode(1, project.cwd, [`--address=${HEAD}`]);

  const flags = [
    "--local",
    "--python",
    PYTHON,
    "--base-model",
    base,
    "--workers",
    "2",
    "--ray",
    HEAD,
  ];
  const env = { ...CLUSTER, HF_HUB_OFFLINE: "1" };
  const running = on(NODES[0], [...ARKOR, "start", ...flags], project.at(undefined, env));
  await running.until("stdout", /^checkpoint=100$/m);
  killAll(NODES[1]);
  await startNode(1, project.cwd, [`--address=${HEAD}`]);
  const { code, stdout, stderr } = await running.exit;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  expect(stepsOf(stdout)).toEqual(upTo(1000));
  expect(stdout.match(/^completed$/gm)).toHaveLength(1);
  const events = project.read(`.arkor/local/jobs/${jobOf(stdout)}/events.jsonl`);
  expect(events).toContain('"training.resumed"');
  expect(events).toContain('"processes":2');
});
