// Faceline's capture SDK: one ES module without dependencies. faceline.d.ts documents everything that it exports.

export const version = '0.1.0';

export class FacelineError extends Error {
  constructor(code, message, details = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = 'FacelineError';
    this.code = code;
    this.status = details.status;
    this.retryAfter = details.retryAfter;
  }
}
