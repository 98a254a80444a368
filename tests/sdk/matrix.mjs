// What every client is tried with. The providers behind the gateway that a client's dialect reaches
// come from tests/e2e/matrix/stage.py, by way of the environment.
import { test } from 'node:test';

export const root = process.env.GATEWAY_ROOT; // without /v1
export const apiKey = process.env.GATEWAY_KEY;

// {dialect: [{provider, model, stop, filter, tellsStop}]}; filter: null where the provider has no such end
const reachable = JSON.parse(process.env.GATEWAY_MATRIX);

/** Registers a test for every provider that callers of `dialect` reach. */
export function each(dialect, name, body) {
  for (const target of reachable[dialect] ?? [])
    test(`${name} [${target.provider}]`, { timeout: 20_000 }, (context) => body(target, context));
}

// What mockllm says (tests/mockllm/sample.c).
export const TEXT = 'A mock naïve says "hello" to every';
export const SHORT = 'A mock naïve';
export const THOUGHTS = 'Let me think about';
export const ODD = '日本語👩\u200d🚀e\u0301🚀\u0000\u001f\\\n\t"/\u2028\u2029שלום';
export const IMAGE =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
export const weather = {
  type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city', 'days'], additionalProperties: false,
};
export const clock = {
  type: 'object', properties: { zone: { type: 'string', enum: ['UTC', 'CET'] } },
  required: ['zone'], additionalProperties: false,
};
export const WEATHER = { city: 'mock', days: 7 };
export const CLOCK = { zone: 'UTC' };
export const person = {
  type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'], additionalProperties: false,
};
export const PERSON = { name: 'mock', age: 7 };

// Scripts of the mock, and how slow a stream must be for its beginning to be seen before its end.
export const BROKEN = 'tokens=8,gap=20ms,error_after=6';
export const CUT = 'tokens=8,gap=20ms,cut=e6';
export const ENDLESS = 'tokens=10000,gap=5ms';
