// The official Anthropic client, whatever provider is behind.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import {
  BROKEN, CLOCK, CUT, ENDLESS, IMAGE, ODD, PERSON, SHORT, TEXT, THOUGHTS, WEATHER, apiKey, clock, each, person, root, weather,
} from './matrix.mjs';

const DIALECT = 'anthropic';
const client = new Anthropic({ baseURL: root, apiKey, maxRetries: 0 });
const script = (words) => ({ headers: { 'x-mock': words } });
const messages = [{ role: 'user', content: 'Say hello.' }];
const tools = Object.entries({ weather, clock }).map(([name, input_schema]) => ({ name, input_schema }));
const callsOf = (answer) => answer.content.filter((block) => block.type === 'tool_use');
const said = (calls) => calls.map((call) => [call.name, call.input]);
const textOf = (answer) => answer.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
const both = [['weather', WEATHER], ['clock', CLOCK]];
const asked = (model, more = {}) => ({ model, messages, max_tokens: 1024, ...more });

each(DIALECT, 'messages: text', async ({ model }) => {
  const answer = await client.messages.create(asked(model, { system: 'Be brief.' }), script('prompt=9,completion=8'));
  assert.equal(textOf(answer), TEXT);
  assert.equal(answer.stop_reason, 'end_turn');
  assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [9, 8]);
  assert.ok(answer._request_id);
});

each(DIALECT, 'messages: stream', async ({ model }) => {
  const stream = client.messages.stream(asked(model), script('unicode=1,chunk=3'));
  let deltas = 0;
  stream.on('text', () => deltas++);
  const answer = await stream.finalMessage();
  assert.equal(textOf(answer), ODD);
  assert.equal(answer.stop_reason, 'end_turn');
  assert.ok(answer.usage.output_tokens > 0);
  assert.ok(deltas >= 3);
});

each(DIALECT, 'messages: parallel tools and their results', async ({ model }) => {
  const answer = await client.messages.create(asked(model, { tools }), script('tools=2'));
  assert.equal(answer.stop_reason, 'tool_use');
  assert.deepEqual(said(callsOf(answer)), both);
  const content = callsOf(answer).map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: 'fine' }));
  const turns = [...messages, { role: 'assistant', content: answer.content }, { role: 'user', content }];
  const after = await client.messages.create(asked(model, { tools, messages: turns }));
  assert.equal(textOf(after), TEXT);
});

each(DIALECT, 'messages: tools in a stream', async ({ model }) => {
  const answer = await client.messages.stream(asked(model, { tools }), script('tools=2,chunk=5')).finalMessage();
  assert.deepEqual(said(callsOf(answer)), both);
  assert.equal(answer.stop_reason, 'tool_use');
});

each(DIALECT, 'messages: a named tool', async ({ model }) => {
  const answer = await client.messages.create(asked(model, { tools, tool_choice: { type: 'tool', name: 'weather' } }));
  assert.deepEqual(said(callsOf(answer)), both.slice(0, 1));
});

each(DIALECT, 'messages: image', async ({ model }) => {
  const content = [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: IMAGE } }, { type: 'text', text: 'What?' }];
  const answer = await client.messages.create(asked(model, { messages: [{ role: 'user', content }] }));
  assert.equal(textOf(answer), TEXT);
});

each(DIALECT, 'messages: structured output', async ({ model }) => {
  const answer = await client.messages.parse(asked(model, { output_config: { format: { type: 'json_schema', schema: person } } }));
  assert.deepEqual(JSON.parse(textOf(answer)), PERSON);
});

each(DIALECT, 'messages: thinking over two turns', async ({ model }) => {
  const more = { max_tokens: 4096, thinking: { type: 'enabled', budget_tokens: 2048 } };
  const answer = await client.messages.stream(asked(model, more), script('reason=4')).finalMessage();
  const [thinking] = answer.content;
  assert.equal(thinking.type, 'thinking');
  assert.equal(thinking.thinking, THOUGHTS);
  assert.ok(thinking.signature);
  assert.equal(textOf(answer), TEXT);
  const turns = [...messages, { role: 'assistant', content: answer.content }, { role: 'user', content: 'And now?' }];
  const next = await client.messages.create(asked(model, { ...more, messages: turns }));
  assert.equal(textOf(next), TEXT);
});

each(DIALECT, 'messages: stop sequence, maximum of tokens, content filter', async ({ model, stop, filter, tellsStop }) => {
  const stopped = await client.messages.create(asked(model, { stop_sequences: ['END'] }), script(stop));
  assert.equal(stopped.stop_reason, tellsStop ? 'stop_sequence' : 'end_turn');
  const cut = await client.messages.create(asked(model, { max_tokens: 3 }));
  assert.deepEqual([textOf(cut), cut.stop_reason], [SHORT, 'max_tokens']);
  if (filter === null) return;
  const filtered = await client.messages.create(asked(model), script(filter));
  assert.equal(filtered.stop_reason, 'refusal');
});

each(DIALECT, 'messages: errors before the answer', async ({ model }) => {
  const ask = (words) => client.messages.create(asked(model), script(words));
  await assert.rejects(ask('status=400'), Anthropic.BadRequestError);
  await assert.rejects(ask('status=429,retry_after=1'), Anthropic.RateLimitError);
  await assert.rejects(ask('status=500'), Anthropic.InternalServerError);
});

for (const [how, words] of [['an error event', BROKEN], ['a cut', CUT]])
  each(DIALECT, `messages: ${how} in a stream throws`, async ({ model }) => {
    const stream = client.messages.stream(asked(model), script(words));
    let text = '';
    stream.on('text', (delta) => { text += delta; });
    await assert.rejects(stream.finalMessage());
    assert.ok(text.length > 0 && TEXT.startsWith(text));
  });

each(DIALECT, 'messages: abort', async ({ model }) => {
  const stream = client.messages.stream(asked(model, { max_tokens: 20000 }), script(ENDLESS));
  let seen = 0;
  stream.on('text', () => { if (++seen === 3) stream.abort(); });
  await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
  assert.ok(seen >= 3 && seen < 10000);
});

each(DIALECT, 'messages: count_tokens', async ({ model }) => {
  assert.ok((await client.messages.countTokens({ model, messages })).input_tokens > 0);
});
