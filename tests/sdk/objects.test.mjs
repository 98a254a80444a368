// The official clients of OpenAI and Google, and what a provider keeps for them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { GoogleGenAI } from '@google/genai';
import { apiKey, root } from './matrix.mjs';

// Several providers keep files here: the one that is meant is named.
const to = (provider) => new OpenAI({
  baseURL: `${root}/v1`, apiKey, maxRetries: 0, defaultHeaders: { 'x-gw-provider': provider },
});
const reachable = JSON.parse(process.env.GATEWAY_MATRIX);
const keeps = (dialect, name, body) => {
  for (const target of reachable[dialect] ?? [])
    if (target.provider === dialect.split('.')[0]) test(name, { timeout: 20_000 }, () => body(target));
};

keeps('openai.responses', 'responses: a conversation that the provider keeps', async ({ provider, model }) => {
  const client = to(provider);
  const first = await client.responses.create({ model, input: 'Say hello.' });
  const second = await client.responses.create({ model, input: 'And again.', previous_response_id: first.id });
  assert.equal(second.previous_response_id, first.id);
  assert.equal((await client.responses.retrieve(first.id)).output_text, first.output_text);
  const items = [];
  for await (const item of client.responses.inputItems.list(first.id)) items.push(item);
  assert.equal(items.length, 1);
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
  await assert.rejects(client.responses.create({ model, input: 'x', previous_response_id: first.id }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === 'previous_response_not_found');
});

keeps('openai.responses', 'responses: in the background', async ({ provider, model }) => {
  const client = to(provider);
  let answer = await client.responses.create({ model, input: 'x', background: true }, { headers: { 'x-mock': 'polls=2' } });
  assert.equal(answer.status, 'queued');
  while (answer.status === 'queued') answer = await client.responses.retrieve(answer.id);
  assert.equal(answer.status, 'completed');
  await client.responses.cancel(answer.id);
});

keeps('openai.chat', 'files: up, listed page by page, down, gone', async ({ provider }) => {
  const client = to(provider), data = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 256));
  const ids = new Set();
  for (let i = 0; i < 5; i++)
    ids.add((await client.files.create({ file: await toFile(data, `f${i}.bin`), purpose: 'user_data' })).id);
  const seen = [];
  for await (const file of client.files.list({ limit: 2 })) seen.push(file.id);
  assert.deepEqual(new Set(seen.filter((id) => ids.has(id))), ids);
  for (const id of ids) {
    assert.deepEqual(Buffer.from(await (await client.files.content(id)).arrayBuffer()), data);
    assert.equal((await client.files.delete(id)).deleted, true);
    await assert.rejects(client.files.retrieve(id), OpenAI.NotFoundError);
  }
});

keeps('openai.chat', 'batches: from a file to its results', async ({ provider, model }) => {
  const client = to(provider);
  const lines = [1, 2, 3].map((n) => JSON.stringify({
    custom_id: `r${n}`, method: 'POST', url: '/v1/chat/completions', body: { model, messages: [{ role: 'user', content: 'x' }] },
  })).join('\n');
  const file = await client.files.create({ file: await toFile(Buffer.from(lines), 'in.jsonl'), purpose: 'batch' });
  let batch = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
  await client.batches.cancel(batch.id);
  while (batch.status !== 'completed') batch = await client.batches.retrieve(batch.id);
  const results = (await (await client.files.content(batch.output_file_id)).text()).trim().split('\n').map((l) => JSON.parse(l));
  assert.deepEqual(results.map((r) => r.custom_id), ['r1', 'r2', 'r3']);
  const listed = [];
  for await (const b of client.batches.list({ limit: 1 })) listed.push(b.id);
  assert.ok(listed.includes(batch.id));
});

keeps('gemini', 'caches: made, used, changed, deleted', async ({ model }) => {
  const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: root } });
  const cache = await client.caches.create({ model, config: { contents: [{ role: 'user', parts: [{ text: 'long' }] }], ttl: '600s' } });
  const answer = await client.models.generateContent({ model, contents: 'Say hello.', config: { cachedContent: cache.name } });
  assert.ok(answer.text);
  assert.equal((await client.caches.get({ name: cache.name })).name, cache.name);
  assert.ok((await client.caches.update({ name: cache.name, config: { ttl: '60s' } })).expireTime);
  await client.caches.delete({ name: cache.name });
  await assert.rejects(client.caches.get({ name: cache.name }));
});

