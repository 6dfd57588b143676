// One Chromium for a test file: the system's, else the one that comes in a development dependency.
import { existsSync } from "node:fs";
import chromium from "@sparticuz/chromium";
import {
  type Browser,
  type BrowserContextOptions,
  chromium as driver,
  type Page,
} from "playwright-core";
import { afterAll, beforeAll, onTestFinished } from "vitest";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const SYSTEMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export async function launch(): Promise<Browser> {
  const executablePath =
    process.env.ARKOR_TEST_CHROMIUM ??
    SYSTEMS.find((path) => existsSync(path)) ??
    (await chromium.executablePath());
  return driver.launch({ executablePath, args: FLAGS, headless: true });
}

/** A page, and the problems that it reported. */
export interface Watched {
  page: Page;
  /** Console errors, uncaught errors, and requests to other hosts. */
  complaints: string[];
}

export type BrowserOpener = (options?: BrowserContextOptions) => Promise<Watched>;

/** Launches the browser before the file's tests. Returns a function that opens pages in it. */
export function browserForTests(): BrowserOpener {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser.close());
  return async (options = {}) => {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    onTestFinished(() => context.close());
    return watched(await context.newPage());
  };
}

export function watched(page: Page): Watched {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const { hostname } = new URL(request.url());
    if (!["localhost", "127.0.0.1", "[::1]", ""].includes(hostname)) {
      complaints.push(`a request to ${request.url()}`);
    }
  });
  return { page, complaints };
}
