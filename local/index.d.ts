/**
 * The absolute path of the `arkor-local` binary for this machine.
 * @throws {Error} there is none; the message names the platform and says what to do
 */
export declare function binaryPath(): string;
