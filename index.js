// The public surface. What is not exported here is internal.
"use strict";

const { createArkor, isArkor } = require("./lib/arkor.js");
const { CloudApiClient } = require("./lib/client.js");
const { completionStream, completionText } = require("./lib/completion-text.js");
const {
  AnonymousTokenRejectedError,
  CloudApiError,
  ProjectStateMismatchError,
} = require("./lib/errors.js");
const {
  credentialsPath,
  defaultArkorCloudApiUrl,
  ensureCredentials,
  readCredentials,
  readState,
  requestAnonymousToken,
  statePath,
  writeCredentials,
  writeState,
} = require("./lib/credentials.js");
const { SUPPORTED_MODELS } = require("./lib/models.js");
const { runTrainer } = require("./lib/run.js");
const { createTrainer } = require("./lib/trainer.js");

module.exports = {
  AnonymousTokenRejectedError,
  CloudApiClient,
  CloudApiError,
  ProjectStateMismatchError,
  SUPPORTED_MODELS,
  completionStream,
  completionText,
  createArkor,
  createTrainer,
  credentialsPath,
  defaultArkorCloudApiUrl,
  ensureCredentials,
  isArkor,
  readCredentials,
  readState,
  requestAnonymousToken,
  runTrainer,
  statePath,
  writeCredentials,
  writeState,
};
