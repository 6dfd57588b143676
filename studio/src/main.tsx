import "uplot/dist/uPlot.min.css";
import "./styles/theme.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/overview.css";
import "./styles/jobs.css";
import "./styles/job.css";
import "./styles/playground.css";
import "./styles/endpoints.css";
import "./styles/dataset.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { adoptToken } from "./api/client.ts";
import { queryClient } from "./api/queries.ts";
import { App } from "./app.tsx";
import { applyTheme, storedTheme } from "./ui/theme.tsx";

adoptToken();
applyTheme(storedTheme());
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <QueryClientProvider client={queryClient}>
      <App />
    </QueryClientProvider>,
  );
}
