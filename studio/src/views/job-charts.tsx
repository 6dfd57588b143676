import { useMemo, useState } from "react";
import type { EventFeed } from "../api/events.ts";
import { useFeeds, useJobs } from "../api/queries.ts";
import type { Job } from "../api/types.ts";
import type { Column } from "../lib/column.ts";
import { formatLoss, formatNumber, formatRate, formatWhen } from "../lib/format.ts";
import { Smoothed } from "../lib/smooth.ts";
import { Chart, type ChartLine, type Zoom } from "../ui/chart.tsx";
import { Empty, Section } from "../ui/parts.tsx";

const OVERLAY_COLORS = ["--line-3", "--line-4", "--line-5", "--line-6"];
const MOST_OVERLAYS = OVERLAY_COLORS.length;

/** A smoothed column for each requested column, cached so that it only processes new values. */
function useSmoothing(weight: number) {
  const known = useMemo(() => new WeakMap<Column, Smoothed>(), []);
  return (column: Column): Column => {
    let smoothed = known.get(column);
    if (!smoothed) {
      smoothed = new Smoothed(column, weight);
      known.set(column, smoothed);
    }
    smoothed.weight = weight;
    return smoothed.update();
  };
}

export function JobCharts({ job, feed }: { job: Job; feed: EventFeed }) {
  const [weight, setWeight] = useState(0);
  const [isLog, setLog] = useState(false);
  const [zoom, setZoom] = useState<Zoom>();
  const [overlays, setOverlays] = useState<string[]>([]);
  const others = useFeeds(overlays);
  const jobs = useJobs().data ?? [];
  const smoothed = useSmoothing(weight);
  const { data } = feed;

  const drawn = (x: Column, y: Column, label: string, color: string): ChartLine[] =>
    weight === 0
      ? [{ x, y, label, color }]
      : [
          { x, y, label: `${label}, raw`, color, isFaint: true },
          { x, y: smoothed(y), label, color },
        ];
  const overlaid = others.flatMap((other, index): ChartLine[] => {
    const color = OVERLAY_COLORS[index] ?? "--line-3";
    const name = overlayName(jobs, overlays[index] ?? "");
    return drawn(other.data.step, other.data.loss, name, color);
  });
  const lossLines: ChartLine[] = [
    ...overlaid,
    ...drawn(data.step, data.loss, "loss", "--line-1"),
    {
      x: data.step,
      y: data.evalLoss,
      label: "eval loss",
      color: "--line-2",
      hasPoints: true,
    },
  ];
  const version = `${feed.version} ${others.map((other) => other.version)} ${weight}`;
  const marks = data.checkpoints.map(({ step }) => step);
  const shared = { version, zoom, onZoom: setZoom, marks };
  const isEmpty = data.step.length === 0;
  return (
    <Section
      title="Charts"
      aside={
        !isEmpty && (
          <>
            <label className="range">
              <span>Smoothing</span>
              <input
                type="range"
                min="0"
                max="0.99"
                step="0.01"
                value={weight}
                onChange={({ target }) => setWeight(Number(target.value))}
              />
              <output className="number">{weight.toFixed(2)}</output>
            </label>
            <label className="check">
              <input
                type="checkbox"
                checked={isLog}
                onChange={({ target }) => setLog(target.checked)}
              />
              <span>Log axis</span>
            </label>
            <button
              type="button"
              className="button"
              disabled={!zoom}
              onClick={() => setZoom(undefined)}
            >
              Reset zoom
            </button>
          </>
        )
      }
    >
      {isEmpty ? (
        <div className="charts-empty" data-waiting={job.status === "running" || undefined}>
          <Empty title={waiting(job.status)} />
        </div>
      ) : (
        <div className="charts">
          <Chart
            {...shared}
            title="Loss"
            lines={lossLines}
            format={formatLoss}
            isLog={isLog}
            height={300}
          />
          <div className="charts-small">
            <Chart
              {...shared}
              title="Learning rate"
              lines={[{ x: data.step, y: data.learningRate, label: "lr", color: "--line-3" }]}
              format={formatRate}
              height={140}
            />
            <Chart
              {...shared}
              title="Samples per second"
              lines={drawn(data.step, data.samplesPerSecond, "samples/s", "--line-4")}
              format={formatNumber}
              height={140}
            />
          </div>
          <p className="chart-hint muted">
            Drag over a chart to zoom, or focus it and press + or −; double-click or Esc shows all.
            Dashed lines are checkpoints.
          </p>
        </div>
      )}
      <Overlays
        jobs={jobs.filter(({ id }) => id !== job.id)}
        chosen={overlays}
        onChange={setOverlays}
      />
    </Section>
  );
}

function waiting(status: string): string {
  if (status === "queued") return "The run is queued.";
  return status === "running" ? "Waiting for the first step." : "This run has logged no step.";
}

/** The name of an overlaid run, with its time, because the runs of a project often have the same name. */
function overlayName(jobs: Job[], jobId: string): string {
  const job = jobs.find(({ id }) => id === jobId);
  return job ? `${job.name} · ${formatWhen(job.createdAt)}` : jobId;
}

function Overlays(props: { jobs: Job[]; chosen: string[]; onChange: (chosen: string[]) => void }) {
  const { jobs, chosen, onChange } = props;
  const left = jobs.filter(({ id, status }) => !chosen.includes(id) && status !== "queued");
  if (jobs.length === 0) return null;
  return (
    <div className="overlays">
      {chosen.map((id, index) => (
        <button
          key={id}
          type="button"
          className="chip"
          onClick={() => onChange(chosen.filter((other) => other !== id))}
        >
          <span
            className="chip-key"
            style={{ background: `var(${OVERLAY_COLORS[index]})` }}
            aria-hidden="true"
          />
          {overlayName(jobs, id)}
          <span className="visually-hidden">: take it off the chart</span>
          <span aria-hidden="true">×</span>
        </button>
      ))}
      {left.length > 0 && chosen.length < MOST_OVERLAYS && (
        <select
          aria-label="Lay another run over the chart"
          value=""
          onChange={({ target }) => target.value && onChange([...chosen, target.value])}
        >
          <option value="">Add a run to compare…</option>
          {left.slice(0, 200).map(({ id, name, createdAt, status }) => (
            <option key={id} value={id}>
              {name} · {formatWhen(createdAt)} · {status}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}
