import type { Manifest } from "../api/types.ts";

/** Shows the error of a broken entry, and its position. */
export function BrokenEntry({ manifest }: { manifest: Manifest }) {
  const { location, error } = manifest;
  return (
    <div className="broken" role="alert">
      <p className="broken-where">
        {location ? (
          <code>
            {location.file}:{location.line}:{location.column}
          </code>
        ) : (
          <code>{manifest.entry}</code>
        )}
      </p>
      <p className="broken-text">{error}</p>
      {location?.text !== undefined && (
        <pre>
          <span className="line-number">{location.line}</span>
          {location.text}
        </pre>
      )}
    </div>
  );
}
