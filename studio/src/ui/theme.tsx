import { useEffect, useState } from "react";

export type Theme = "system" | "light" | "dark";
const STORED = "arkor-studio-theme";
const THEMES: Theme[] = ["system", "light", "dark"];

export function storedTheme(): Theme {
  const stored = localStorage.getItem(STORED);
  return THEMES.find((theme) => theme === stored) ?? "system";
}

export function applyTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event("arkor-theme"));
}

export function ThemeSwitch() {
  const [theme, setTheme] = useState(storedTheme);
  useEffect(() => {
    localStorage.setItem(STORED, theme);
    applyTheme(theme);
  }, [theme]);
  return (
    <label className="theme-switch">
      <span>Theme</span>
      <select value={theme} onChange={({ target }) => setTheme(target.value as Theme)}>
        <option value="system">System</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}

/** Changes whenever the colours change, for canvases, which can't follow CSS. */
export function useThemeVersion(): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const changed = () => setVersion((before) => before + 1);
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", changed);
    addEventListener("arkor-theme", changed);
    return () => {
      system.removeEventListener("change", changed);
      removeEventListener("arkor-theme", changed);
    };
  }, []);
  return version;
}
