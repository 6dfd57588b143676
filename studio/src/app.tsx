import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { ApiError, adoptToken, hasToken, onTokenHeard } from "./api/client.ts";
import { queryClient, useIdentity } from "./api/queries.ts";
import { parseRoute, type Route } from "./lib/route.ts";
import { Empty, focusMain, Page } from "./ui/parts.tsx";
import { ThemeSwitch } from "./ui/theme.tsx";
import { DatasetView } from "./views/dataset.tsx";
import { Endpoints } from "./views/endpoints.tsx";
import { JobView } from "./views/job.tsx";
import { Jobs } from "./views/jobs.tsx";
import { Overview } from "./views/overview.tsx";
import { Playground } from "./views/playground.tsx";

const NAVIGATION: [hash: string, name: string, views: Route["view"][]][] = [
  ["#/", "Overview", ["overview"]],
  ["#/jobs", "Jobs", ["jobs", "job"]],
  ["#/playground", "Playground", ["playground"]],
  ["#/endpoints", "Endpoints", ["endpoints"]],
];
/** Only local runs have a dataset preview. */
const LOCAL_NAVIGATION: typeof NAVIGATION = [...NAVIGATION, ["#/dataset", "Dataset", ["dataset"]]];

function useRoute(): Route {
  const hash = useSyncExternalStore(
    (changed) => {
      const heard = () => {
        // The hash may be a link with another token, opened in this tab.
        adoptToken();
        changed();
      };
      addEventListener("hashchange", heard);
      return () => removeEventListener("hashchange", heard);
    },
    () => location.hash,
  );
  return parseRoute(hash);
}

export function App() {
  const route = useRoute();
  const isLocked = useLocked();
  useFocusOnNavigation(route);
  if (isLocked) return <Locked />;
  return (
    <div className="shell">
      <button
        type="button"
        className="skip"
        onClick={() => document.getElementById("main")?.focus()}
      >
        Skip to content
      </button>
      <Sidebar current={route.view} />
      <div className="content">
        <Offline />
        <main id="main" tabIndex={-1}>
          <View route={route} />
        </main>
      </div>
    </div>
  );
}

function View({ route }: { route: Route }) {
  switch (route.view) {
    case "overview":
      return <Overview />;
    case "jobs":
      return <Jobs />;
    case "job":
      return <JobView jobId={route.jobId} tab={route.tab} key={route.jobId} />;
    case "playground":
      return <Playground adapter={route.adapter} compare={route.compare} />;
    case "endpoints":
      return <Endpoints />;
    case "dataset":
      return <DatasetView offset={route.offset} />;
    default:
      return (
        <Page title="Not found">
          <Empty title="There is nothing at this address.">
            <a href="#/">Go to the overview</a>
          </Empty>
        </Page>
      );
  }
}

function Sidebar({ current }: { current: Route["view"] }) {
  const { data } = useIdentity();
  return (
    <aside className="sidebar">
      <a className="brand" href="#/">
        <img src="/icon.svg" alt="" width="20" height="20" />
        <span>Arkor Studio</span>
      </a>
      <nav aria-label="Views">
        {(data?.where === "local" ? LOCAL_NAVIGATION : NAVIGATION).map(([hash, name, views]) => (
          <a key={hash} href={hash} aria-current={views.includes(current) ? "page" : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <div className="sidebar-foot">
        <span className="where" title={data?.directory}>
          <span>{data?.project}</span>
          <span>{data && (data.where === "local" ? "on this machine" : "in the cloud")}</span>
        </span>
        <ThemeSwitch />
      </div>
    </aside>
  );
}

/** Whether the server has rejected the token, or there is none. */
function useLocked(): boolean {
  const [isLocked, setLocked] = useState(!hasToken());
  useEffect(() => onTokenHeard(setLocked), []);
  useEffect(() => {
    if (!isLocked) void queryClient.invalidateQueries();
  }, [isLocked]);
  return isLocked;
}

function Locked() {
  return (
    <main className="locked" id="main" tabIndex={-1}>
      <img src="/icon.svg" alt="" width="32" height="32" />
      <h1>Open Studio by its link</h1>
      <p>
        This page can start runs and ask models in your name, so it opens only by the link that{" "}
        <code>arkor dev</code> has printed. It begins with{" "}
        <code>{`${location.origin}/#token=`}</code> and is another one after each start.
      </p>
    </main>
  );
}

/** Shown once for the whole page. Each view also shows what it can't load. */
function Offline() {
  const { error } = useIdentity();
  const isGone = error instanceof ApiError && error.status === 0;
  return (
    <div aria-live="assertive">
      {isGone && (
        <p className="offline">
          <strong>Offline.</strong> Studio's server doesn't answer. What you see may be old; the
          page goes on as soon as <code>arkor dev</code> does.
        </p>
      )}
    </div>
  );
}

/**
 * Moves the focus to the new view, so that a screen reader and the keyboard don't stay at the end of the old
 * one.
 */
function useFocusOnNavigation(route: Route): void {
  const place = route.view === "job" ? `job ${route.jobId}` : route.view;
  const last = useRef(place);
  useEffect(() => {
    if (last.current === place) return;
    last.current = place;
    focusMain();
    scrollTo(0, 0);
  }, [place]);
}
