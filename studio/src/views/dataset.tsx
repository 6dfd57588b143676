import { ApiError } from "../api/client.ts";
import { queryClient, useDataset, useIdentity, useManifest } from "../api/queries.ts";
import type { Dataset, DatasetRow, Segment } from "../api/types.ts";
import { formatBytes, formatCount, formatNumber } from "../lib/format.ts";
import { datasetLink } from "../lib/route.ts";
import { Empty, Failure, Loading, Notice, Page, Section } from "../ui/parts.tsx";
import { BrokenEntry } from "./broken-entry.tsx";

const PAGE_ROWS = 25;

export function DatasetView({ offset }: { offset: number }) {
  const identity = useIdentity();
  const isLocal = identity.data?.where === "local";
  const manifest = useManifest();
  const config = manifest.data?.trainer?.config;
  const dataset = useDataset({ offset, limit: PAGE_ROWS }, isLocal ? config : undefined);
  if (identity.data && !isLocal) {
    return (
      <Page title="Dataset">
        <Empty title="Runs train in the cloud, which doesn't show what it makes of a dataset.">
          To see what a model on this machine would see, start Studio with{" "}
          <code>arkor dev --local</code>.
        </Empty>
      </Page>
    );
  }
  const error = identity.error ?? manifest.error ?? (config && dataset.error);
  // Rows that the server refused are wrong now. Without the server, they are only outdated.
  const isRefused = error instanceof ApiError && error.status === 400;
  const isWaiting = !error && !dataset.data && manifest.data?.error === undefined;
  return (
    <Page
      title="Dataset"
      lead={
        <span className="muted count">
          {dataset.data && formatCount(dataset.data.totals.rows, "row")}
        </span>
      }
      aside={
        <button
          type="button"
          className="button"
          disabled={!config || dataset.isFetching}
          onClick={() => void queryClient.invalidateQueries({ queryKey: ["dataset"] })}
        >
          {dataset.isFetching ? "Reading…" : "Read again"}
        </button>
      }
    >
      {manifest.data?.error !== undefined && <BrokenEntry manifest={manifest.data} />}
      {error && <DatasetFailure error={error} isOld={dataset.data !== undefined} />}
      {isWaiting && <Loading rows={10} label="Reading the dataset" />}
      {dataset.data && !isRefused && <Rows dataset={dataset.data} />}
    </Page>
  );
}

/** Shows an error of the dataset itself if training would refuse a row. Any other error is Studio's. */
function DatasetFailure({ error, isOld }: { error: Error; isOld: boolean }) {
  if (!(error instanceof ApiError) || error.status !== 400) {
    return <Failure error={error} what="The dataset" isOld={isOld} />;
  }
  return (
    <Notice tone="bad" title="A run with this config would be refused.">
      <span className="failure-text">{error.message}</span>
    </Notice>
  );
}

function Rows({ dataset }: { dataset: Dataset }) {
  const { totals, offset, rows, maxLength, standIn } = dataset;
  return (
    <>
      {standIn !== null && (
        <Notice tone="warn" title="Another model stands in, with its own chat template.">
          {standIn}
        </Notice>
      )}
      <Totals dataset={dataset} />
      {totals.withoutTarget > 0 && (
        <Notice tone="warn" title={`${formatCount(totals.withoutTarget, "row")} can't be used.`}>
          No token within {formatNumber(maxLength)} is trained.
        </Notice>
      )}
      {totals.notInDryRun > 0 && (
        <Notice tone="info">
          A dry run trains the first {formatNumber(totals.rows)} rows; it only checks the other{" "}
          {formatNumber(totals.notInDryRun)}.
        </Notice>
      )}
      <Section title="Lengths">
        <Lengths dataset={dataset} />
      </Section>
      <Section
        title="Rows"
        aside={<Pager name="Pages of rows" offset={offset} total={totals.rows} />}
      >
        <Legend rows={rows} />
        {rows.length === 0 && (
          <Empty title="There are no rows here.">
            <a href={datasetLink(0)}>Go to the first row</a>
          </Empty>
        )}
        <ol className="rows">
          {rows.map((row) => (
            <Row key={placeOf(row)} row={row} />
          ))}
        </ol>
        {totals.rows > PAGE_ROWS && (
          <div className="actions rows-end">
            <Pager name="Pages of rows, again" offset={offset} total={totals.rows} />
          </div>
        )}
      </Section>
    </>
  );
}

function Totals({ dataset: { totals, maxLength } }: { dataset: Dataset }) {
  const share = totals.tokens > 0 ? Math.round((totals.trainedTokens / totals.tokens) * 100) : 0;
  const numbers: [name: string, value: number, more: string][] = [
    ["Rows", totals.rows, ""],
    ["Held out", totals.heldOut, "measure only"],
    ["Tokens", totals.tokens, ""],
    ["Trained tokens", totals.trainedTokens, `${share} %`],
    ["Longest row", totals.longest, "tokens"],
    ["Cut rows", totals.cutRows, `at ${formatNumber(maxLength)} tokens`],
  ];
  return (
    <div className="numbers-box">
      <dl className="numbers">
        {numbers.map(([name, value, more]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <span className="number">{formatNumber(value)}</span>{" "}
              <span className="muted">{more}</span>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** The distribution of the rows' lengths: a bar for each range. */
function Lengths({ dataset: { lengths, maxLength } }: { dataset: Dataset }) {
  const most = Math.max(...lengths.map(({ rows }) => rows));
  const words = lengths
    .filter(({ rows }) => rows > 0)
    .map(({ from, to, rows }) => `${from + 1} to ${to} tokens: ${formatCount(rows, "row")}`);
  return (
    <figure className="lengths">
      <div className="bars" role="img" aria-label={words.join("; ")}>
        {lengths.map(({ from, to, rows }) => (
          <span
            key={from}
            className="bar"
            data-cut={from >= maxLength || undefined}
            title={`${from + 1}–${to} tokens: ${formatCount(rows, "row")}`}
            style={{ height: `${rows === 0 ? 0 : Math.max(4, (rows / most) * 100)}%` }}
          />
        ))}
      </div>
      <figcaption className="muted">
        <span>{formatCount((lengths[0]?.from ?? 0) + 1, "token")}</span>
        <span>at most {formatCount(most, "row")} a bar</span>
        <span>{formatNumber(lengths.at(-1)?.to ?? 0)} tokens</span>
      </figcaption>
    </figure>
  );
}

/** A legend for the marks in these rows. */
function Legend({ rows }: { rows: DatasetRow[] }) {
  const segments = rows.flatMap((row) => row.segments);
  return (
    <ul className="row-legend muted" aria-label="Marks">
      <li>
        <mark>trained</mark> the model learns to write it
      </li>
      <li>
        <code>plain</code> it only reads it
      </li>
      {segments.some(({ cut }) => cut) && (
        <li>
          <del>cut off</del> it never sees it
        </li>
      )}
      {segments.some(({ added }) => added) && (
        <li>
          <span className="added">added</span> a token that the text doesn't have
        </li>
      )}
    </ul>
  );
}

function Row({ row }: { row: DatasetRow }) {
  const place = placeOf(row);
  return (
    <li className="row">
      <header>
        <h3>{place}</h3>
        <span className="muted number">
          {formatCount(row.tokens, "token")}, {formatNumber(row.trainedTokens)} trained
        </span>
        {row.cutTokens > 0 && <span className="tag">{formatNumber(row.cutTokens)} cut off</span>}
        {row.heldOut && <span className="tag">held out</span>}
        {row.trainedTokens === 0 && <span className="tag">not used</span>}
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard */}
      <section className="row-text" aria-label={`Text of ${place}`} tabIndex={0}>
        {row.segments.map((segment, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a row's segments never change places
          <Part key={index} segment={segment} />
        ))}
        {row.hiddenBytes > 0 && (
          <span className="muted"> … {formatBytes(row.hiddenBytes)} more aren't shown</span>
        )}
      </section>
    </li>
  );
}

function Part({ segment: { text, trained, cut, added } }: { segment: Segment }) {
  const content = added ? <span className="added">{text}</span> : text;
  if (cut) return <del>{content}</del>;
  return trained ? <mark>{content}</mark> : content;
}

function Pager({ name, offset, total }: { name: string; offset: number; total: number }) {
  const last = Math.min(total, offset + PAGE_ROWS);
  return (
    <nav className="pager" aria-label={name}>
      <PageLink to={offset - PAGE_ROWS} isThere={offset > 0} name="Previous" />
      <span className="number">
        {formatNumber(Math.min(offset + 1, total))}–{formatNumber(last)} of {formatNumber(total)}
      </span>
      <PageLink to={offset + PAGE_ROWS} isThere={last < total} name="Next" />
    </nav>
  );
}

function PageLink({ to, isThere, name }: { to: number; isThere: boolean; name: string }) {
  if (!isThere) {
    return (
      <button type="button" className="button" disabled>
        {name}
      </button>
    );
  }
  return (
    <a className="button" href={datasetLink(Math.max(0, to))}>
      {name}
    </a>
  );
}

function placeOf({ source: { file, unit, number } }: DatasetRow): string {
  const place = `${unit === "line" ? "Line" : "Row"} ${number}`;
  return file === undefined ? place : `${file}, ${place.toLowerCase()}`;
}
