// The official OpenAI client, changed in nothing but base URL and key.
import assert from 'node:assert/strict';
import { createReadStream, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { zodResponseFormat, zodFunction } from 'openai/helpers/zod';
import { z } from 'zod';

const baseURL = process.env.GATEWAY_URL;
const apiKey = process.env.GATEWAY_KEY;
const model = process.env.GATEWAY_MODEL;
const messages = [{ role: 'user', content: 'Say hello.' }];

const client = (more = {}) => new OpenAI({ baseURL, apiKey, ...more });
// How the mock behind the gateway shall answer.
const script = (words) => ({ headers: { 'x-mock': words } });

test('chat', async () => {
  const answer = await client().chat.completions.create({ model, messages }, script('prompt=9,completion=5'));
  assert.equal(answer.object, 'chat.completion');
  assert.ok(answer.choices[0].message.content.length > 0);
  assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens], [9, 5, 14]);
});

test('chat carries a request id and the raw response is there', async () => {
  const { data, response, request_id } = await client().chat.completions.create({ model, messages }).withResponse();
  assert.equal(data._request_id, response.headers.get('x-request-id'));
  assert.equal(request_id, data._request_id);
  assert.equal(response.headers.get('x-gw-attempts'), '1');
});

test('text of every alphabet comes back as it went', async () => {
  const content = 'naïve "quotes" \\ \u0001 日本 😀 \n line';
  const answer = await client().chat.completions.create({ model: 'echo', messages: [{ role: 'user', content }] });
  assert.equal(answer.choices[0].message.content, content);
});

test('stream', async () => {
  const stream = await client().chat.completions.create({ model, messages, stream: true }, script('tokens=12,gap=1ms'));
  let chunks = 0, text = '', finish = null;
  for await (const chunk of stream) {
    chunks++;
    assert.equal(chunk.usage, undefined, 'usage that was not asked for');
    text += chunk.choices[0].delta.content ?? '';
    finish = chunk.choices[0].finish_reason ?? finish;
  }
  assert.ok(chunks >= 12);
  assert.ok(text.length > 0);
  assert.equal(finish, 'stop');
});

test('stream with usage', async () => {
  const stream = await client().chat.completions.create(
    { model, messages, stream: true, stream_options: { include_usage: true } }, script('tokens=4,prompt=3'));
  let usage;
  for await (const chunk of stream) usage = chunk.usage ?? usage;
  assert.equal(usage.prompt_tokens, 3);
});

test('stream helper', async () => {
  const runner = client().chat.completions.stream({ model, messages });
  let deltas = 0;
  runner.on('content', () => deltas++);
  const final = await runner.finalChatCompletion();
  assert.ok(deltas > 1);
  assert.equal(final.choices[0].message.content, await runner.finalContent());
});

test('a stream in chunks of one byte', async () => {
  const stream = await client().chat.completions.create({ model, messages, stream: true }, script('tokens=5,chunk=1'));
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0].delta.content ?? '';
  assert.ok(text.length > 0);
});

const weather = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
};

test('tools', async () => {
  const answer = await client().chat.completions.create({ model: 'tools', messages, tools: [weather] });
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  assert.equal(call.function.name, 'weather');
  assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
  const after = await client().chat.completions.create({
    model: 'tools', tools: [weather],
    messages: [...messages, answer.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'rain' }],
  });
  assert.ok(after.choices[0].message.content);
});

test('tools in a stream', async () => {
  const stream = await client().chat.completions.create({ model: 'tools', messages, tools: [weather], stream: true });
  let name = '', args = '', finish;
  for await (const chunk of stream) {
    for (const call of chunk.choices[0].delta.tool_calls ?? []) {
      name += call.function.name ?? '';
      args += call.function.arguments ?? '';
    }
    finish = chunk.choices[0].finish_reason ?? finish;
  }
  assert.equal(name, 'weather');
  assert.equal(typeof JSON.parse(args).city, 'string');
  assert.equal(finish, 'tool_calls');
});

test('tools run by the client', async () => {
  const asked = [];
  const runner = client().chat.completions.runTools({
    model: 'tools', messages,
    tools: [zodFunction({
      name: 'weather',
      parameters: z.object({ city: z.string() }),
      function: ({ city }) => { asked.push(city); return 'rain'; },
    })],
  });
  assert.ok(await runner.finalContent());
  assert.equal(asked.length, 1);
});

test('output by JSON schema, parsed', async () => {
  const Event = z.object({ name: z.string(), participants: z.array(z.string()) });
  const answer = await client().chat.completions.parse({ model, messages, response_format: zodResponseFormat(Event, 'event') });
  assert.equal(typeof answer.choices[0].message.parsed.name, 'string');
  assert.ok(Array.isArray(answer.choices[0].message.parsed.participants));
});

test('completions', async () => {
  const answer = await client().completions.create({ model, prompt: 'Once' });
  assert.equal(answer.object, 'text_completion');
  const stream = await client().completions.create({ model, prompt: 'Once', stream: true });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0].text;
  assert.ok(text.length > 0);
});

test('embeddings', async () => {
  const answer = await client().embeddings.create({ model: 'text-embedding-test', input: ['one', 'two'] });
  assert.equal(answer.data.length, 2);
  assert.ok(answer.data[0].embedding.every(Number.isFinite));
});

test('models', async () => {
  const names = [];
  for await (const row of client().models.list()) names.push(row.id);
  assert.ok(names.includes(model) && names.includes('echo'));
  assert.equal((await client().models.retrieve(model)).id, model);
});

test('abort of a stream', async () => {
  const stream = await client().chat.completions.create({ model, messages, stream: true }, script('tokens=10000,gap=5ms'));
  let seen = 0;
  for await (const chunk of stream) {
    assert.ok(chunk.choices);
    if (++seen === 3) stream.controller.abort();
  }
  assert.ok(seen >= 3 && seen < 10000);
});

test('abort of a whole answer', async () => {
  const controller = new AbortController();
  const asked = client().chat.completions.create({ model, messages }, { signal: controller.signal, ...script('ttft=200ms') });
  controller.abort();
  await assert.rejects(asked, OpenAI.APIUserAbortError);
});

test('timeout', async () => {
  const asked = client({ timeout: 100, maxRetries: 0 }).chat.completions.create({ model, messages }, script('ttft=1s'));
  await assert.rejects(asked, OpenAI.APIConnectionTimeoutError);
});

test('a wrong key is an AuthenticationError', async () => {
  await assert.rejects(client({ apiKey: 'sk-wrong' }).chat.completions.create({ model, messages }), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.status, 401);
    assert.equal(error.code, 'invalid_api_key');
    assert.ok(error.requestID);
    return true;
  });
});

test('an unknown model is a NotFoundError', async () => {
  await assert.rejects(client().chat.completions.create({ model: 'nothing', messages }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, 'model_not_found');
    return true;
  });
});

test('a bad request is a BadRequestError that is not repeated', async () => {
  await assert.rejects(client().chat.completions.create({ model, messages, max_tokens: -1 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    return true;
  });
});

test("the provider's words about a caller's error arrive", async () => {
  await assert.rejects(client().chat.completions.create({ model: 'missing', messages }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.match(error.message, /mock-missing/);
    return true;
  });
});

test('a rate limit of the provider is a RateLimitError with its Retry-After', async () => {
  const asked = client({ maxRetries: 0 }).chat.completions.create({ model, messages }, script('status=429,retry_after=3'));
  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.ok(Number(error.headers.get('retry-after')) >= 1);
    return true;
  });
});

test('a fault of the provider is an InternalServerError, and says whether to retry', async () => {
  let requests = 0;
  const counting = client({ fetch: (...args) => { requests++; return fetch(...args); } });
  await assert.rejects(counting.chat.completions.create({ model, messages }, script('cut=half')), (error) => {
    assert.ok(error instanceof OpenAI.InternalServerError);
    assert.equal(error.headers.get('x-should-retry'), 'false', 'it may have been billed');
    return true;
  });
  assert.equal(requests, 1, 'the client repeated what may have been billed');
});

test('a cut stream is an error, never an end', async () => {
  const stream = await client().chat.completions.create({ model, messages, stream: true }, script('tokens=8,cut=e3'));
  await assert.rejects(async () => { for await (const chunk of stream) assert.ok(chunk); });
});

test('many at once', async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, (_, number) =>
    client().chat.completions.create({ model: 'echo', messages: [{ role: 'user', content: `number ${number}` }] })));
  answers.forEach((answer, number) => assert.equal(answer.choices[0].message.content, `number ${number}`));
});

// ---- moderations, audio, images: relayed ----

const sound = (n) => Buffer.from(Uint8Array.from({ length: n }, (_, i) => (i * 31 + (i >> 8) * 7 + 13) & 0xff));

test('moderations, with a model and without', async () => {
  const answer = await client().moderations.create({ model, input: ['a', 'b'] });
  assert.equal(answer.results.length, 2);
  assert.equal((await client().moderations.create({ input: 'a' }, { headers: { 'x-gw-provider': 'mock' } })).model,
    'omni-moderation-latest');
});

test('speech', async () => {
  const response = await client().audio.speech.create({ model, input: 'Hello there.', voice: 'alloy' });
  assert.equal(response.headers.get('content-type'), 'audio/mpeg');
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), sound(24000));
});

test('a transcription of a file that is read as it is sent', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'sdk-')), 'speech.mp3');
  writeFileSync(path, sound(100000));
  const answer = await client().audio.transcriptions.create({ model, file: createReadStream(path) });
  assert.match(answer.text, /quick brown fox/);
  assert.equal(answer.usage.type, 'tokens');
  assert.equal(typeof await client().audio.transcriptions.create(
    { model, file: createReadStream(path), response_format: 'vtt' }), 'string');
});

test('a transcription as a stream', async () => {
  const file = await toFile(sound(5000), 'a.wav');
  const stream = await client().audio.transcriptions.create({ model, file, stream: true });
  let text = '', done;
  for await (const event of stream) {
    if (event.type === 'transcript.text.delta') text += event.delta;
    else done = event;
  }
  assert.equal(done.type, 'transcript.text.done');
  assert.equal(done.text, text);
});

test('a translation', async () => {
  const file = await toFile(sound(5000), 'a.wav');
  assert.ok((await client().audio.translations.create({ model, file })).text);
});

test('images', async () => {
  const answer = await client().images.generate({ model, prompt: 'A red cube.', n: 2 });
  assert.deepEqual(answer.data.map((image) => Buffer.from(image.b64_json, 'base64')), [sound(3000), sound(3000)]);
});

test('images as a stream', async () => {
  const stream = await client().images.generate({ model, prompt: 'A red cube.', stream: true, partial_images: 2 });
  const types = [];
  for await (const event of stream) types.push(event.type);
  assert.deepEqual(types, ['image_generation.partial_image', 'image_generation.partial_image',
    'image_generation.completed']);
});

test('an edit of two images', async () => {
  const image = [await toFile(sound(900), 'a.png'), await toFile(sound(90), 'b.png')];
  const answer = await client().images.edit({ model, image, prompt: 'Both in one.' });
  assert.equal(answer.data.length, 1);
});

test('a form without its file is an error of the request', async () => {
  await assert.rejects(client().audio.transcriptions.create({ model }), OpenAI.BadRequestError);
});
