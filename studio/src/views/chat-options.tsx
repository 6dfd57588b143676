import type { ChatForm } from "../lib/chat-options.ts";

/** The form with the chat's options, next to a conversation. */
export function Options(props: {
  form: ChatForm;
  errors: Partial<Record<keyof ChatForm, string>>;
  onChange: (form: ChatForm) => void;
}) {
  const { form, errors, onChange } = props;
  const set = (field: keyof ChatForm) => (event: { target: { value: string } }) =>
    onChange({ ...form, [field]: event.target.value });
  const hint = (field: keyof ChatForm) =>
    errors[field] && (
      <span className="field-error" id={`${field}-error`}>
        {errors[field]}
      </span>
    );
  const described = (field: keyof ChatForm) => ({
    "aria-invalid": errors[field] !== undefined,
    "aria-describedby": errors[field] ? `${field}-error` : undefined,
  });
  const numbers: [field: "temperature" | "topP" | "maxTokens", label: string, usual: string][] = [
    ["temperature", "Temperature", "1"],
    ["topP", "Top-p", "1"],
    ["maxTokens", "Max tokens", "256"],
  ];
  return (
    <aside className="options" aria-label="Options">
      <label className="field">
        <span>System prompt</span>
        <textarea rows={4} value={form.system} onChange={set("system")} />
      </label>
      {numbers.map(([field, label, usual]) => (
        <label className="field" key={field}>
          <span>{label}</span>
          <input
            inputMode="decimal"
            placeholder={usual}
            value={form[field]}
            onChange={set(field)}
            {...described(field)}
          />
          {hint(field)}
        </label>
      ))}
      <label className="field">
        <span>JSON schema</span>
        <textarea
          rows={4}
          className="mono"
          placeholder="Any text"
          value={form.schema}
          onChange={set("schema")}
          {...described("schema")}
        />
        {hint("schema")}
      </label>
    </aside>
  );
}
