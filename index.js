// The public surface. What is not exported here is internal.
"use strict";

const { createArkor, isArkor } = require("./lib/arkor.js");
const { CloudApiError } = require("./lib/errors.js");
const { SUPPORTED_MODELS } = require("./lib/models.js");
const { runTrainer } = require("./lib/run.js");
const { createTrainer } = require("./lib/trainer.js");

module.exports = {
  CloudApiError,
  SUPPORTED_MODELS,
  createArkor,
  createTrainer,
  isArkor,
  runTrainer,
};
