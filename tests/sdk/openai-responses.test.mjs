// The official OpenAI client, Responses, whatever provider is behind.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import {
  BROKEN, CLOCK, CUT, ENDLESS, IMAGE, ODD, PERSON, SHORT, TEXT, THOUGHTS, WEATHER, apiKey, clock, each, person, root, weather,
} from './matrix.mjs';

const DIALECT = 'openai.responses';
const client = new OpenAI({ baseURL: `${root}/v1`, apiKey, maxRetries: 0 });
const script = (words) => ({ headers: { 'x-mock': words } });
const input = [{ role: 'user', content: 'Say hello.' }];
const tools = Object.entries({ weather, clock }).map(([name, parameters]) => ({ type: 'function', name, parameters, strict: true }));
const callsOf = (answer) => answer.output.filter((item) => item.type === 'function_call');
const said = (calls) => calls.map((call) => [call.name, JSON.parse(call.arguments)]);
const both = [['weather', WEATHER], ['clock', CLOCK]];

each(DIALECT, 'responses: text', async ({ model }) => {
  const answer = await client.responses.create({ model, input, store: false, instructions: 'Be brief.' }, script('prompt=9,completion=8'));
  assert.equal(answer.output_text, TEXT);
  assert.equal(answer.status, 'completed');
  assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [9, 8]);
});

each(DIALECT, 'responses: input that is a plain string', async ({ model }) => {
  const answer = await client.responses.create({ model, input: 'Say hello.', store: false });
  assert.equal(answer.output_text, TEXT);
});

each(DIALECT, 'responses: stream', async ({ model }) => {
  const stream = client.responses.stream({ model, input, store: false }, script('unicode=1,chunk=3'));
  let deltas = 0;
  stream.on('response.output_text.delta', () => deltas++);
  const answer = await stream.finalResponse();
  assert.equal(answer.output_text, ODD);
  assert.equal(answer.status, 'completed');
  assert.ok(deltas >= 3);
});

each(DIALECT, 'responses: parallel tools and their results', async ({ model }) => {
  const answer = await client.responses.create({ model, input, tools, store: false }, script('tools=2'));
  const calls = callsOf(answer);
  assert.deepEqual(said(calls), both);
  const results = calls.map((call) => ({ type: 'function_call_output', call_id: call.call_id, output: 'fine' }));
  const after = await client.responses.create({ model, tools, store: false, input: [...input, ...answer.output, ...results] });
  assert.equal(after.output_text, TEXT);
});

each(DIALECT, 'responses: tools in a stream', async ({ model }) => {
  const answer = await client.responses.stream({ model, input, tools, store: false }, script('tools=2,chunk=5')).finalResponse();
  assert.deepEqual(said(callsOf(answer)), both);
});

each(DIALECT, 'responses: a named tool', async ({ model }) => {
  const answer = await client.responses.create({ model, input, tools, store: false, tool_choice: { type: 'function', name: 'weather' } });
  assert.deepEqual(said(callsOf(answer)), both.slice(0, 1));
});

each(DIALECT, 'responses: image', async ({ model }) => {
  const content = [{ type: 'input_text', text: 'What is it?' },
    { type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${IMAGE}` }];
  const answer = await client.responses.create({ model, store: false, input: [{ role: 'user', content }] });
  assert.equal(answer.output_text, TEXT);
});

each(DIALECT, 'responses: structured output', async ({ model }) => {
  const answer = await client.responses.create({
    model, input, store: false, text: { format: { type: 'json_schema', name: 'person', strict: true, schema: person } } });
  assert.deepEqual(JSON.parse(answer.output_text), PERSON);
});

each(DIALECT, 'responses: reasoning over two turns', async ({ model }) => {
  const asked = { model, store: false, reasoning: { effort: 'medium', summary: 'auto' },
    include: ['reasoning.encrypted_content'], max_output_tokens: 4096 };
  const answer = await client.responses.stream({ ...asked, input }, script('reason=4')).finalResponse();
  const reasoning = answer.output.find((item) => item.type === 'reasoning');
  assert.equal(reasoning.summary.map((part) => part.text).join(''), THOUGHTS);
  assert.ok(reasoning.encrypted_content);
  assert.equal(answer.output_text, TEXT);
  // What the client's own parsing added isn't part of the items.
  const output = answer.output.map(({ parsed_arguments, ...item }) => item.content
    ? { ...item, content: item.content.map(({ parsed, ...part }) => part) } : item);
  const next = await client.responses.create({ ...asked, input: [...input, ...output, { role: 'user', content: 'And now?' }] });
  assert.equal(next.output_text, TEXT);
});

each(DIALECT, 'responses: maximum of tokens, content filter', async ({ model, filter }) => {
  const cut = await client.responses.create({ model, input, store: false, max_output_tokens: 3 });
  assert.deepEqual([cut.output_text, cut.status, cut.incomplete_details.reason], [SHORT, 'incomplete', 'max_output_tokens']);
  if (filter === null) return;
  const filtered = await client.responses.create({ model, input, store: false }, script(filter));
  assert.deepEqual([filtered.status, filtered.incomplete_details.reason], ['incomplete', 'content_filter']);
});

each(DIALECT, 'responses: errors before the answer', async ({ model }) => {
  const ask = (words) => client.responses.create({ model, input, store: false }, script(words));
  await assert.rejects(ask('status=400'), OpenAI.BadRequestError);
  await assert.rejects(ask('status=429,retry_after=1'), OpenAI.RateLimitError);
  await assert.rejects(ask('status=500'), OpenAI.InternalServerError);
});

for (const [how, words] of [['an error event', BROKEN], ['a cut', CUT]])
  each(DIALECT, `responses: ${how} in a stream never looks finished`, async ({ model }) => {
    const stream = await client.responses.create({ model, input, store: false, stream: true }, script(words));
    const types = [];
    let failed = false;
    try {
      for await (const event of stream) types.push(event.type);
    } catch {
      failed = true;
    }
    // The client hands an error event on to its caller; it throws where the connection breaks.
    assert.ok(failed || types.includes('error') || types.includes('response.failed'));
    assert.ok(!types.includes('response.completed') && !types.includes('response.incomplete'));
  });

each(DIALECT, 'responses: abort', async ({ model }) => {
  const stream = await client.responses.create({ model, input, store: false, stream: true }, script(ENDLESS));
  let seen = 0;
  for await (const event of stream)
    if (event.type === 'response.output_text.delta' && ++seen === 3) stream.controller.abort();
  assert.ok(seen >= 3 && seen < 10000);
});
