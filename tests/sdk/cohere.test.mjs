// The official Cohere client, whatever provider is behind.
import assert from 'node:assert/strict';
import { Cohere, CohereClientV2, CohereError } from 'cohere-ai';
import {
  BROKEN, CLOCK, CUT, ENDLESS, IMAGE, ODD, PERSON, SHORT, TEXT, THOUGHTS, WEATHER, apiKey, clock, each, person, root, weather,
} from './matrix.mjs';

const DIALECT = 'cohere';
const client = new CohereClientV2({ environment: root, token: apiKey, maxRetries: 0 });
const script = (words) => ({ headers: { 'x-mock': words } });
const messages = [{ role: 'user', content: 'Say hello.' }];
const tools = Object.entries({ weather, clock }).map(([name, parameters]) => ({ type: 'function', function: { name, parameters } }));
const textOf = (message) => (message.content ?? []).filter((block) => block.type === 'text').map((block) => block.text).join('');
const callsOf = (message) => message.toolCalls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
const both = [['weather', WEATHER], ['clock', CLOCK]];

// The client hands out events and leaves it to its caller to put a message together.
async function collect(request, options) {
  const message = { role: 'assistant', content: [], toolCalls: [] };
  let deltas = 0, end;
  for await (const event of await client.chatStream(request, options)) {
    const said = event.delta?.message;
    if (event.type === 'content-start') message.content[event.index] = { ...said.content };
    if (event.type === 'content-delta') {
      const block = message.content[event.index];
      deltas += block.type === 'text';
      for (const [name, value] of Object.entries(said.content)) block[name] = (block[name] ?? '') + value;
    }
    if (event.type === 'tool-call-start') message.toolCalls[event.index] = structuredClone(said.toolCalls);
    if (event.type === 'tool-call-delta') message.toolCalls[event.index].function.arguments += said.toolCalls.function.arguments;
    if (event.type === 'message-end') end = event.delta;
  }
  return { message, deltas, ...end };
}

each(DIALECT, 'chat: text', async ({ model }) => {
  const { data, rawResponse } = await client.chat(
    { model, messages: [{ role: 'system', content: 'Be brief.' }, ...messages] }, script('prompt=9,completion=8')).withRawResponse();
  assert.equal(textOf(data.message), TEXT);
  assert.equal(data.finishReason, 'COMPLETE');
  assert.deepEqual([data.usage.billedUnits.inputTokens, data.usage.billedUnits.outputTokens], [9, 8]);
  assert.ok(data.id);
  assert.equal(rawResponse.status, 200);
});

each(DIALECT, 'chat: stream', async ({ model }) => {
  const answer = await collect({ model, messages }, script('unicode=1,chunk=3'));
  assert.equal(textOf(answer.message), ODD);
  assert.equal(answer.finishReason, 'COMPLETE');
  assert.ok(answer.usage.billedUnits.outputTokens > 0);
  assert.ok(answer.deltas >= 3);
});

each(DIALECT, 'chat: parallel tools and their results', async ({ model }) => {
  const { message, finishReason } = await client.chat({ model, messages, tools }, script('tools=2'));
  assert.equal(finishReason, 'TOOL_CALL');
  assert.deepEqual(callsOf(message), both);
  const results = message.toolCalls.map((call) => ({ role: 'tool', toolCallId: call.id, content: [
    { type: 'document', document: { data: { sky: 'fine' } } }] }));
  const after = await client.chat({ model, tools, messages: [...messages, message, ...results] });
  assert.equal(textOf(after.message), TEXT);
});

each(DIALECT, 'chat: tools in a stream', async ({ model }) => {
  const answer = await collect({ model, messages, tools }, script('tools=2,chunk=5'));
  assert.deepEqual(callsOf(answer.message), both);
  assert.equal(answer.finishReason, 'TOOL_CALL');
});

each(DIALECT, 'chat: a tool that must be called', async ({ model }) => {
  const answer = await client.chat({ model, messages, tools, toolChoice: 'REQUIRED' });
  assert.deepEqual(callsOf(answer.message), both.slice(0, 1));
});

each(DIALECT, 'chat: image', async ({ model }) => {
  const content = [{ type: 'text', text: 'What?' }, { type: 'image_url', imageUrl: { url: `data:image/png;base64,${IMAGE}` } }];
  const answer = await client.chat({ model, messages: [{ role: 'user', content }] });
  assert.equal(textOf(answer.message), TEXT);
});

each(DIALECT, 'chat: documents', async ({ model }) => {
  const documents = ['The sky is blue.', { id: 'grass', data: { title: 'Grass', snippet: 'It is green.' } }];
  const answer = await client.chat({ model, messages, documents });
  assert.equal(textOf(answer.message), TEXT);
});

each(DIALECT, 'chat: structured output', async ({ model }) => {
  const answer = await client.chat({ model, messages, responseFormat: { type: 'json_object', jsonSchema: person } });
  assert.deepEqual(JSON.parse(textOf(answer.message)), PERSON);
});

each(DIALECT, 'chat: thinking over two turns', async ({ model }) => {
  const more = { maxTokens: 4096, thinking: { type: 'enabled', tokenBudget: 2048 } };
  const { message } = await collect({ model, messages, ...more }, script('reason=4'));
  const [thinking] = message.content;
  assert.deepEqual([thinking.type, thinking.thinking], ['thinking', THOUGHTS]);
  assert.equal(textOf(message), TEXT);
  const { toolCalls, ...said } = message;
  const turns = [...messages, said, { role: 'user', content: 'And now?' }];
  const next = await client.chat({ model, messages: turns, ...more });
  assert.equal(textOf(next.message), TEXT);
});

each(DIALECT, 'chat: stop sequence, maximum of tokens, content filter', async ({ model, stop, filter }) => {
  const stopped = await client.chat({ model, messages, stopSequences: ['END'] }, script(stop));
  assert.ok(['COMPLETE', 'STOP_SEQUENCE'].includes(stopped.finishReason));
  const cut = await client.chat({ model, messages, maxTokens: 3 });
  assert.deepEqual([textOf(cut.message), cut.finishReason], [SHORT, 'MAX_TOKENS']);
  if (filter === null) return;
  assert.equal((await client.chat({ model, messages }, script(filter))).finishReason, 'ERROR');
});

each(DIALECT, 'chat: errors before the answer', async ({ model }) => {
  const ask = (words) => client.chat({ model, messages }, script(words));
  await assert.rejects(ask('status=400'), Cohere.BadRequestError);
  await assert.rejects(ask('status=429,retry_after=1'), (error) => error instanceof Cohere.TooManyRequestsError && error.body.message.length > 0);
  await assert.rejects(ask('status=500'), CohereError);
});

each(DIALECT, 'chat: an error in a stream is its end', async ({ model }) => {
  const answer = await collect({ model, messages }, script(BROKEN)).catch((error) => ({ failed: error }));
  assert.ok(answer.failed || (answer.finishReason === 'ERROR' && answer.error.length > 0));
});

each(DIALECT, 'chat: a cut in a stream is told', async ({ model }) => {
  const answer = await collect({ model, messages }, script(CUT)).catch((error) => ({ failed: error }));
  assert.ok(answer.failed || answer.finishReason !== 'COMPLETE');
});

each(DIALECT, 'chat: abort', async ({ model }) => {
  const abort = new AbortController();
  let seen = 0;
  await assert.rejects(async () => {
    const stream = await client.chatStream({ model, messages, maxTokens: 20000 }, { ...script(ENDLESS), abortSignal: abort.signal });
    for await (const event of stream)
      if (event.type === 'content-delta' && ++seen === 3) abort.abort();
  });
  assert.ok(seen >= 3 && seen < 10000);
});
