// The model names that editors complete. The backend checks any other name.
"use strict";

/** @type {readonly ["unsloth/gemma-4-E4B-it"]} */
const SUPPORTED_MODELS = Object.freeze(["unsloth/gemma-4-E4B-it"]);

module.exports = { SUPPORTED_MODELS };
