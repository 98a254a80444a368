// The official OpenAI client, chat completions, whatever provider is behind.
import assert from 'node:assert/strict';
import OpenAI, { AzureOpenAI } from 'openai';
import {
  BROKEN, CLOCK, CUT, ENDLESS, IMAGE, ODD, PERSON, SHORT, TEXT, THOUGHTS, WEATHER, apiKey, clock, each, person, root, weather,
} from './matrix.mjs';

const DIALECT = 'openai.chat';
const client = new OpenAI({ baseURL: `${root}/v1`, apiKey, maxRetries: 0 });
const script = (words) => ({ headers: { 'x-mock': words } });
const messages = [{ role: 'user', content: 'Say hello.' }];
const tools = Object.entries({ weather, clock }).map(([name, parameters]) => ({ type: 'function', function: { name, parameters } }));
const callsOf = (message) => message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
const both = [['weather', WEATHER], ['clock', CLOCK]];

each(DIALECT, 'chat: text', async ({ model }) => {
  const answer = await client.chat.completions.create({ model, messages }, script('prompt=9,completion=8'));
  assert.equal(answer.choices[0].message.content, TEXT);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [9, 8]);
  assert.ok(answer._request_id);
});

each(DIALECT, 'chat: the class for Azure, whose paths are those of deployments', async ({ model }) => {
  const azure = new AzureOpenAI({ endpoint: root, apiKey, apiVersion: '2024-10-21', maxRetries: 0 });
  const stream = await azure.chat.completions.create({ model, messages, stream: true });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? '';
  assert.equal(text, TEXT);
});

each(DIALECT, 'chat: stream', async ({ model }) => {
  const runner = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } }, script('unicode=1,chunk=3'));
  let deltas = 0;
  runner.on('content', () => deltas++);
  const answer = await runner.finalChatCompletion();
  assert.equal(answer.choices[0].message.content, ODD);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.ok(deltas >= 3);
  assert.ok(answer.usage.completion_tokens > 0);
});

each(DIALECT, 'chat: parallel tools and their results', async ({ model }) => {
  const answer = await client.chat.completions.create({ model, messages, tools }, script('tools=2'));
  const { message, finish_reason } = answer.choices[0];
  assert.equal(finish_reason, 'tool_calls');
  assert.deepEqual(callsOf(message), both);
  const results = message.tool_calls.map((call) => ({ role: 'tool', tool_call_id: call.id, content: 'fine' }));
  const after = await client.chat.completions.create({ model, tools, messages: [...messages, message, ...results] });
  assert.equal(after.choices[0].message.content, TEXT);
});

each(DIALECT, 'chat: tools in a stream', async ({ model }) => {
  const answer = await client.chat.completions.stream({ model, messages, tools }, script('tools=2,chunk=5')).finalChatCompletion();
  assert.deepEqual(callsOf(answer.choices[0].message), both);
});

each(DIALECT, 'chat: a named tool', async ({ model }) => {
  const answer = await client.chat.completions.create(
    { model, messages, tools, tool_choice: { type: 'function', function: { name: 'weather' } } });
  assert.deepEqual(callsOf(answer.choices[0].message), both.slice(0, 1));
});

each(DIALECT, 'chat: image', async ({ model }) => {
  const content = [{ type: 'text', text: 'What is it?' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${IMAGE}` } }];
  const answer = await client.chat.completions.create({ model, messages: [{ role: 'user', content }] });
  assert.equal(answer.choices[0].message.content, TEXT);
});

each(DIALECT, 'chat: structured output', async ({ model }) => {
  const answer = await client.chat.completions.parse({
    model, messages, response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: person } } });
  assert.deepEqual(JSON.parse(answer.choices[0].message.content), PERSON);
});

each(DIALECT, 'chat: reasoning over two turns', async ({ model }) => {
  const asked = { model, messages, reasoning_effort: 'medium', max_completion_tokens: 4096 };
  const answer = await client.chat.completions.create(asked, script('reason=4'));
  const { message } = answer.choices[0];
  assert.equal(message.reasoning_content, THOUGHTS);
  assert.equal(message.content, TEXT);
  const next = await client.chat.completions.create({ ...asked, messages: [...messages, message, { role: 'user', content: 'And now?' }] });
  assert.equal(next.choices[0].message.content, TEXT);
});

each(DIALECT, 'chat: stop sequence, maximum of tokens, content filter', async ({ model, stop, filter }) => {
  const stopped = await client.chat.completions.create({ model, messages, stop: ['END'] }, script(stop));
  assert.equal(stopped.choices[0].finish_reason, 'stop');
  const cut = await client.chat.completions.create({ model, messages, max_completion_tokens: 3 });
  assert.deepEqual([cut.choices[0].message.content, cut.choices[0].finish_reason], [SHORT, 'length']);
  if (filter === null) return;
  const filtered = await client.chat.completions.create({ model, messages }, script(filter));
  assert.equal(filtered.choices[0].finish_reason, 'content_filter');
});

each(DIALECT, 'chat: errors before the answer', async ({ model }) => {
  const ask = (words) => client.chat.completions.create({ model, messages }, script(words));
  await assert.rejects(ask('status=400'), OpenAI.BadRequestError);
  await assert.rejects(ask('status=429,retry_after=1'), OpenAI.RateLimitError);
  await assert.rejects(ask('status=500'), OpenAI.InternalServerError);
});

for (const [how, words] of [['an error event', BROKEN], ['a cut', CUT]])
  each(DIALECT, `chat: ${how} in a stream throws`, async ({ model }) => {
    const stream = await client.chat.completions.create({ model, messages, stream: true }, script(words));
    let text = '';
    await assert.rejects(async () => { for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''; });
    assert.ok(text.length > 0 && TEXT.startsWith(text));
  });

each(DIALECT, 'chat: abort', async ({ model }) => {
  const stream = await client.chat.completions.create({ model, messages, stream: true }, script(ENDLESS));
  let seen = 0;
  for await (const chunk of stream) if (chunk.choices.length && ++seen === 3) stream.controller.abort();
  assert.ok(seen >= 3 && seen < 10000);
});
