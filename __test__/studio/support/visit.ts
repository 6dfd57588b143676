// Opens a page at a scripted cloud, and has the checks with which its tests end.
import type { Page } from "playwright-core";
import { expect } from "vitest";
import type { BrowserOpener } from "./browser.ts";
import type { StudioCloud } from "./cloud.ts";
import { cloudStudio, ENTRY } from "./cloud-project.ts";

export const heading = (page: Page, name: string) =>
  page.getByRole("heading", { level: 1, name, exact: true });

/** Starts Studio and opens its page; `open` is from `browserForTests`. */
export async function visit(open: BrowserOpener, cloud: StudioCloud, entry = ENTRY) {
  const studio = await cloudStudio(cloud, entry);
  const { page, complaints } = await open();
  await page.goto(studio.link);
  const go = async (hash: string) => {
    await page.goto(`${studio.origin}/${hash}`);
  };
  return { studio, page, complaints, go };
}

/** Checks that the cloud got no unknown request, and that the page reported no problem. */
export function expectQuiet(cloud: StudioCloud, complaints: string[]) {
  expect(cloud.unknown).toEqual([]);
  expect(complaints).toEqual([]);
}

/** The name of the focused element. */
export const focused = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const element = document.activeElement;
    return element?.getAttribute("aria-label") ?? element?.textContent ?? "";
  });

/** Presses Tab until the element with this name has the focus. */
export async function tabTo(page: Page, name: string) {
  const names: string[] = [];
  for (let press = 0; press < 60; press++) {
    await page.keyboard.press("Tab");
    const now = await focused(page);
    if (now === name) return;
    names.push(now);
  }
  throw new Error(`Tab never came to ${name}, but to ${names.join(" | ")}`);
}
