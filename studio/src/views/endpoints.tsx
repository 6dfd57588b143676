import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import { ApiError, api } from "../api/client.ts";
import {
  queryClient,
  useDeployments,
  useIdentity,
  useJobs,
  useKeys,
  useNow,
} from "../api/queries.ts";
import type { AuthMode, Deployment, DeploymentKey, Target } from "../api/types.ts";
import { formatAgo } from "../lib/format.ts";
import { describeTarget } from "../lib/model-choice.ts";
import { endpointSnippet } from "../lib/snippets.ts";
import {
  Confirm,
  Copy,
  Dialog,
  Empty,
  Failure,
  Loading,
  Notice,
  Page,
  Section,
} from "../ui/parts.tsx";
import { ModelPicker } from "./model-picker.tsx";

const SLUG = /^[a-z0-9][a-z0-9-]{0,48}[a-z0-9]$/;

/** Invalidates only the list, because a deleted endpoint's keys must not be requested again. */
const refresh = () => queryClient.invalidateQueries({ queryKey: ["deployments"], exact: true });

export function Endpoints() {
  const deployments = useDeployments();
  const [isCreating, setCreating] = useState(false);
  const { error } = deployments;
  const isUnsupported = error instanceof ApiError && (error.status === 501 || error.status === 404);
  const list = deployments.data ?? [];
  return (
    <Page
      title="Endpoints"
      aside={
        <button
          type="button"
          className="button primary"
          disabled={!deployments.data}
          onClick={() => setCreating(true)}
        >
          New endpoint
        </button>
      }
    >
      {deployments.isPending && <Loading rows={4} label="Loading the endpoints" />}
      {error && !isUnsupported && (
        <Failure error={error} what="The endpoints" isOld={deployments.data !== undefined} />
      )}
      {isUnsupported && <Empty title="No endpoints here.">{error.message}</Empty>}
      {deployments.data && list.length === 0 && (
        <Empty title="No endpoints yet.">An endpoint serves an adapter to other programs.</Empty>
      )}
      {list.map((deployment) => (
        <EndpointCard key={deployment.id} deployment={deployment} />
      ))}
      {isCreating && <NewEndpoint onClose={() => setCreating(false)} />}
    </Page>
  );
}

function EndpointCard({ deployment }: { deployment: Deployment }) {
  const jobs = useJobs().data ?? [];
  const [isDeleting, setDeleting] = useState(false);
  const update = useMutation({
    mutationFn: (change: Partial<Deployment>) => api.updateDeployment(deployment.id, change),
    onSettled: refresh,
  });
  const remove = useMutation({
    mutationFn: () => api.deleteDeployment(deployment.id),
    onSettled: refresh,
  });
  const nameOf = (jobId: string) => jobs.find(({ id }) => id === jobId)?.name;
  const url = useEndpointUrl(deployment);
  const snippet = url && endpointSnippet(url, deployment);
  const error = update.error ?? remove.error;
  return (
    <Section
      title={deployment.slug}
      aside={
        <button type="button" className="button danger" onClick={() => setDeleting(true)}>
          Delete
        </button>
      }
    >
      {error && (
        <Notice tone="bad" title="Nothing was changed.">
          {error.message}
        </Notice>
      )}
      <div className="endpoint">
        <p>
          <span className="muted">Serves</span> {describeTarget(deployment.target, nameOf)}
        </p>
        <label className="check">
          <input
            type="checkbox"
            checked={
              (update.isPending ? update.variables.enabled : undefined) ?? deployment.enabled
            }
            disabled={update.isPending}
            onChange={({ target }) => update.mutate({ enabled: target.checked })}
          />
          <span>Enabled</span>
        </label>
        <AuthSelect
          className="inline-field"
          value={deployment.authMode}
          onChange={(authMode) => update.mutate({ authMode })}
        />
      </div>
      {deployment.authMode === "fixed_api_key" && <Keys deployment={deployment} />}
      {snippet ? (
        <div className="snippet">
          <pre>{snippet}</pre>
          <Copy text={snippet} />
        </div>
      ) : (
        <p className="muted">It has no domain of its own yet, so its address isn't known here.</p>
      )}
      {isDeleting && (
        <Confirm
          title={`Delete ${deployment.slug}?`}
          action="Delete the endpoint"
          onClose={() => setDeleting(false)}
          onConfirm={() => remove.mutate()}
        >
          Programs that call it get an error from then on. Its keys are deleted with it.
        </Confirm>
      )}
    </Section>
  );
}

/** The URL of an endpoint, if it's known. The cloud doesn't report it for an endpoint without its own domain. */
function useEndpointUrl({ slug, customDomain }: Deployment): string | undefined {
  const identity = useIdentity().data;
  if (customDomain) return `https://${customDomain}/v1`;
  return identity?.where === "local" ? `${identity.baseUrl}/e/${slug}/v1` : undefined;
}

function AuthSelect(props: {
  className: string;
  value: AuthMode;
  onChange: (mode: AuthMode) => void;
}) {
  return (
    <label className={props.className}>
      <span>Callers</span>
      <select
        value={props.value}
        onChange={({ target }) => props.onChange(target.value as AuthMode)}
      >
        <option value="fixed_api_key">need a key</option>
        <option value="none">need no key</option>
      </select>
    </label>
  );
}

function NewEndpoint({ onClose }: { onClose: () => void }) {
  const jobs = useJobs().data ?? [];
  const [slug, setSlug] = useState("");
  const [authMode, setAuthMode] = useState<AuthMode>("fixed_api_key");
  const newest = jobs.find(({ status }) => status === "completed");
  const [picked, setPicked] = useState<Target>();
  const target: Target | undefined =
    picked ?? (newest && { kind: "adapter", adapter: { kind: "final", jobId: newest.id } });
  const create = useMutation({
    mutationFn: (input: { slug: string; target: Target; authMode: AuthMode }) =>
      api.createDeployment(input),
    onSuccess: () => {
      void refresh();
      onClose();
    },
  });
  const hint = useId();
  const isUsable = SLUG.test(slug);
  return (
    <Dialog title="New endpoint" onClose={onClose}>
      <form
        className="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (target && isUsable) create.mutate({ slug, target, authMode });
        }}
      >
        <label className="field">
          <span>Slug</span>
          <input
            value={slug}
            onChange={({ target: { value } }) => setSlug(value)}
            aria-describedby={hint}
            aria-invalid={slug !== "" && !isUsable}
            autoComplete="off"
          />
          <span className="field-hint" id={hint}>
            2 to 50 of a–z, 0–9 and -, beginning and ending with a letter or digit
          </span>
        </label>
        <ModelPicker
          label="Serves"
          target={target}
          jobs={jobs}
          fallback={undefined}
          onChange={setPicked}
        />
        <AuthSelect className="field" value={authMode} onChange={setAuthMode} />
        {create.error && (
          <Notice tone="bad" title="No endpoint was created.">
            {create.error.message}
          </Notice>
        )}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className="button primary"
            disabled={!isUsable || !target || create.isPending}
          >
            Create endpoint
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Keys({ deployment }: { deployment: Deployment }) {
  const keys = useKeys(deployment.id);
  const now = useNow();
  const [label, setLabel] = useState("");
  const [revoking, setRevoking] = useState<DeploymentKey>();
  const refreshKeys = () =>
    queryClient.invalidateQueries({ queryKey: ["deployments", deployment.id, "keys"] });
  const create = useMutation({
    mutationFn: () => api.createKey(deployment.id, label.trim()),
    onSuccess: () => {
      setLabel("");
      void refreshKeys();
    },
  });
  const revoke = useMutation({
    mutationFn: (keyId: string) => api.revokeKey(deployment.id, keyId),
    onSuccess: (_, keyId) => {
      // Don't keep showing a key that no longer works.
      if (create.data?.key.id === keyId) create.reset();
    },
    onSettled: refreshKeys,
  });
  const error = keys.error ?? create.error ?? revoke.error;
  return (
    <div className="keys">
      <h3>Keys</h3>
      {error && <Notice tone="bad">{error.message}</Notice>}
      {create.data && (
        <div className="new-key" role="status">
          <p>This key is shown this once. Keep it now.</p>
          <code>{create.data.key.plaintext}</code>
          <Copy text={create.data.key.plaintext} label="Copy key" />
        </div>
      )}
      <ul>
        {(keys.data ?? []).map((key) => (
          <li key={key.id}>
            <span>{key.label}</span>
            <code>{key.prefix}…</code>
            <span className="muted">
              {key.lastUsedAt ? `used ${formatAgo(key.lastUsedAt, now)}` : "not used yet"}
            </span>
            <button
              type="button"
              className="button quiet"
              aria-label={`Revoke ${key.label}`}
              onClick={() => setRevoking(key)}
            >
              Revoke
            </button>
          </li>
        ))}
      </ul>
      <form
        className="toolbar"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <input
          aria-label={`Label of a new key for ${deployment.slug}`}
          placeholder="Label of a new key"
          maxLength={80}
          value={label}
          onChange={({ target }) => setLabel(target.value)}
        />
        <button type="submit" className="button" disabled={label.trim() === "" || create.isPending}>
          Create key
        </button>
      </form>
      {revoking && (
        <Confirm
          title={`Revoke ${revoking.label}?`}
          action="Revoke the key"
          onClose={() => setRevoking(undefined)}
          onConfirm={() => revoke.mutate(revoking.id)}
        >
          Programs that use it are refused from then on.
        </Confirm>
      )}
    </div>
  );
}
