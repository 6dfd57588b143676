// What an installation of the torch engine consists of: which machines and builds there are, whether it
// fits on the disk, and what the real lock file says for each platform.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildFor, hasNvidiaGpu, machineOf } from "../../cli/engine/build.js";
import { packagesFor, pythonsFor, readLock } from "../../cli/engine/lock.js";
import { planOf } from "../../cli/engine/plan.js";
import { checkSpace } from "../../cli/engine/space.js";
import { ROOT } from "../support/process.ts";

const LINUX = { platform: "linux", machine: "x86_64" };
const LINUX_ARM = { platform: "linux", machine: "aarch64" };
const MAC = { platform: "darwin", machine: "arm64" };
const WINDOWS = { platform: "win32", machine: "amd64" };

describe("the machine", () => {
  it.each([
    ["linux", "x64", LINUX],
    ["linux", "arm64", LINUX_ARM],
    ["darwin", "arm64", MAC],
    ["win32", "x64", WINDOWS],
  ])("%s %s has wheels", (platform, arch, machine) => {
    expect(machineOf({ platform, arch, musl: false })).toEqual(machine);
  });

  it.each([
    ["Macs with Intel processors", { platform: "darwin", arch: "x64", musl: false }],
    ["musl", { platform: "linux", arch: "x64", musl: true }],
    ["arm64 on win32", { platform: "win32", arch: "arm64", musl: false }],
  ])("%s is refused", (name, host) => {
    expect(() => machineOf(host)).toThrow(
      `The torch engine can't be installed here: PyTorch has no build for ${name}. ` +
        "Train with the CPU engine, which needs no installation: arkor start --local --engine cpu",
    );
  });
});

describe("the build", () => {
  const gpu = (found: boolean) => () => Promise.resolve(found);

  it.each([
    [LINUX, {}, true, "cuda"],
    [LINUX, {}, false, "cpu"],
    [LINUX, { cpu: true }, true, "cpu"],
    [WINDOWS, { cuda: true }, false, "cuda"],
    [MAC, {}, true, "mps"],
    [MAC, { cpu: true }, false, "mps"],
  ])("for %j with %j and a GPU: %s is %s", async (machine, wanted, found, build) => {
    expect(await buildFor(machine, wanted, gpu(found))).toBe(build);
  });

  it("for macOS is never CUDA's", async () => {
    await expect(buildFor(MAC, { cuda: true })).rejects.toThrow(
      "--cuda is for machines with an NVIDIA GPU, and PyTorch has no CUDA build for macOS. Leave it out.",
    );
  });

  it("is CUDA's where the driver has left its file", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "arkor-driver-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const driver = path.join(directory, "version");
    const { PATH } = process.env;
    onTestFinished(() => void Object.assign(process.env, { PATH }));
    process.env.PATH = directory;
    expect(await hasNvidiaGpu(driver)).toBe(false);
    writeFileSync(driver, "");
    expect(await hasNvidiaGpu(driver)).toBe(true);
  });
});

describe("the disk", () => {
  const free = (bytes: number) => () => Promise.resolve({ bavail: bytes / 4096, bsize: 4096 });

  it("has to have room", async () => {
    const place = path.join(tmpdir(), "not", "there");
    expect(await checkSpace(place, 4096, free(8192))).toBe(8192);
    await expect(checkSpace(place, 5.9e9, free(2.1e9))).rejects.toThrow(
      `The torch engine needs about 5.9 GB in ${place}, and only 2.1 GB are free there. ` +
        "Free some space, or have XDG_CACHE_HOME name a directory on another disk.",
    );
  });
});

describe("the lock file", () => {
  const worker = path.join(ROOT, "local/torch");
  const { packages } = readLock(worker);
  const MACHINES = [LINUX, LINUX_ARM, MAC, WINDOWS];

  it.each(MACHINES)("has wheels of every package for $platform $machine", (machine) => {
    for (const extras of [[], ["ray"]]) {
      expect(pythonsFor(packages, machine, extras)).toEqual([11, 12, 13, 14]);
      expect(packagesFor(packages, { ...machine, minor: 11 }, extras).length).toBeGreaterThan(40);
    }
  });

  it.each([
    [LINUX, "cuda", 3.16, 5.9],
    [LINUX, "cpu", 0.37, 1.1],
    [LINUX_ARM, "cuda", 3.33, 6.2],
    [MAC, "mps", 0.25, 0.74],
    [WINDOWS, "cpu", 0.26, 0.79],
    [WINDOWS, "cuda", 3.04, 5.6],
  ] as const)(
    "for %j the %s build is of the size that is said",
    (machine, build, download, disk) => {
      const options = { place: "", worker, packages, machine, minor: 11, extras: [] };
      const plan = planOf({ ...options, installed: undefined, build });
      expect(plan.download / 1e9).toBeCloseTo(download, 1);
      expect(plan.disk / 1e9).toBeCloseTo(disk, 1);
    },
  );

  it("doesn't count a Python that a package has no wheel for", () => {
    const without = packages.map((one) =>
      one.name === "ray"
        ? { ...one, wheels: one.wheels.filter(({ file }) => !/cp314/.test(file)) }
        : one,
    );
    expect(pythonsFor(without, LINUX, [])).toContain(14);
    expect(pythonsFor(without, LINUX, ["ray"])).not.toContain(14);
  });
});
