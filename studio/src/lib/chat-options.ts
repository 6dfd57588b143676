/** The contents of the playground's form, as typed. */
export interface ChatForm {
  system: string;
  temperature: string;
  topP: string;
  maxTokens: string;
  schema: string;
}

export const EMPTY_FORM: ChatForm = {
  system: "",
  temperature: "",
  topP: "",
  maxTokens: "",
  schema: "",
};

export interface Checked {
  options: Record<string, unknown>;
  /** The error message of each field: what's wrong, and how to fix it. */
  errors: Partial<Record<keyof ChatForm, string>>;
}

/** Builds the options of a request. An empty field is left to the backend. */
export function checkForm(form: ChatForm): Checked {
  const options: Record<string, unknown> = {};
  const errors: Checked["errors"] = {};
  const number = (
    field: "temperature" | "topP" | "maxTokens",
    ok: (value: number) => boolean,
    words: string,
  ) => {
    const text = form[field].trim();
    if (text === "") return;
    const value = Number(text);
    if (ok(value)) options[field] = value;
    else errors[field] = words;
  };
  number("temperature", (value) => value >= 0 && value <= 10, "A number from 0 to 10.");
  number("topP", (value) => value > 0 && value <= 1, "A number above 0, up to 1.");
  number("maxTokens", (value) => Number.isInteger(value) && value > 0, "A whole number above 0.");
  if (form.schema.trim() !== "") {
    try {
      const schema: unknown = JSON.parse(form.schema);
      if (typeof schema !== "object" || schema === null || Array.isArray(schema)) throw new Error();
      options.responseFormat = { type: "json_schema", json_schema: { name: "answer", schema } };
    } catch {
      errors.schema = 'A JSON schema, such as {"type":"object"}.';
    }
  }
  return { options, errors };
}

/** Whether a key press in the text box sends the message. During input-method composition, Enter doesn't. */
export function sends(event: {
  key: string;
  shiftKey: boolean;
  isComposing: boolean;
  keyCode: number;
}): boolean {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}
