// Shows how to load an exported model.

/** @typedef {"peft" | "merged" | "gguf" | "ollama"} Format */

/**
 * @typedef {object} Exported
 * @property {string} folder
 * @property {string} base the model that the adapter belongs to
 * @property {string} name of the job
 * @property {string | undefined} gguf the file with the weights, for that format
 */

/**
 * @param {Format} format
 * @param {Exported} exported
 * @returns {{ title: string, lines: string[] }} what the commands or code are for
 */
function howToLoad(format, { folder, base, name, gguf }) {
  if (format === "peft") {
    return {
      title: "In Python, with peft and transformers installed:",
      lines: [
        "from peft import AutoPeftModelForCausalLM",
        `model = AutoPeftModelForCausalLM.from_pretrained(${JSON.stringify(folder)})`,
        `# Its tokenizer is that of ${JSON.stringify(base)}.`,
      ],
    };
  }
  if (format === "merged") {
    return {
      title: "In Python, with transformers installed, or with vLLM:",
      lines: [
        "from transformers import pipeline",
        `ask = pipeline("text-generation", model=${JSON.stringify(folder)})`,
        "",
        `vllm serve ${quoted(folder)}`,
      ],
    };
  }
  if (format === "gguf") {
    return { title: "With llama.cpp:", lines: [`llama-cli -m ${quoted(gguf ?? folder)}`] };
  }
  const model =
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "") || "arkor";
  return {
    title: "With Ollama:",
    lines: [`ollama create ${model} -f ${quoted(`${folder}/Modelfile`)}`, `ollama run ${model}`],
  };
}

/**
 * @param {string} file
 * @returns {string} quoted as one word for a shell
 */
function quoted(file) {
  if (/^[\w@%+=:,./\\-]+$/.test(file)) return file;
  return process.platform === "win32" ? `"${file}"` : `'${file.replaceAll("'", "'\\''")}'`;
}

module.exports = { howToLoad };
