// The models that editors complete. Any other name is checked by the backend.
"use strict";

/** @type {readonly ["unsloth/gemma-4-E4B-it"]} */
const SUPPORTED_MODELS = Object.freeze(["unsloth/gemma-4-E4B-it"]);

module.exports = { SUPPORTED_MODELS };
