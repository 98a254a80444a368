// The official Google Gen AI client, whatever provider is behind.
import assert from 'node:assert/strict';
import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from '@google/genai';
import {
  BROKEN, CLOCK, CUT, ENDLESS, IMAGE, ODD, PERSON, SHORT, TEXT, THOUGHTS, WEATHER, apiKey, clock, each, person, root, weather,
} from './matrix.mjs';

const DIALECT = 'gemini';
const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: root } });
const contents = [{ role: 'user', parts: [{ text: 'Say hello.' }] }];
const tools = [{ functionDeclarations: Object.entries({ weather, clock }).map(([name, parametersJsonSchema]) =>
  ({ name, parametersJsonSchema })) }];
const asked = (model, words, config = {}, more = contents) =>
  ({ model, contents: more, config: { ...config, httpOptions: { headers: words ? { 'x-mock': words } : {} } } });
const ask = (...args) => client.models.generateContent(asked(...args));
const said = (calls) => calls.map((call) => [call.name, call.args]);
const both = [['weather', WEATHER], ['clock', CLOCK]];

async function streamed(...args) {
  const parts = [];
  let pieces = 0, last;
  for await (const chunk of await client.models.generateContentStream(asked(...args))) {
    pieces++;
    last = chunk;
    parts.push(...(chunk.candidates?.[0]?.content?.parts ?? []));
  }
  return { parts, pieces, last, finish: last.candidates[0].finishReason,
    text: parts.filter((part) => part.text && !part.thought).map((part) => part.text).join('') };
}

each(DIALECT, 'generateContent: text', async ({ model }) => {
  const answer = await ask(model, 'prompt=9,completion=8', { systemInstruction: 'Be brief.' });
  assert.equal(answer.text, TEXT);
  assert.equal(answer.candidates[0].finishReason, 'STOP');
  assert.deepEqual([answer.usageMetadata.promptTokenCount, answer.usageMetadata.candidatesTokenCount], [9, 8]);
});

each(DIALECT, 'generateContent: stream', async ({ model }) => {
  const answer = await streamed(model, 'unicode=1,chunk=3');
  assert.equal(answer.text, ODD);
  assert.equal(answer.finish, 'STOP');
  assert.ok(answer.pieces >= 3);
  assert.ok(answer.last.usageMetadata.totalTokenCount > 0);
});

each(DIALECT, 'generateContent: parallel tools and their results', async ({ model }) => {
  const answer = await ask(model, 'tools=2', { tools });
  assert.deepEqual(said(answer.functionCalls), both);
  const parts = answer.functionCalls.map(({ id, name }) => ({ functionResponse: { id, name, response: { result: 'fine' } } }));
  const after = await ask(model, '', { tools }, [...contents, answer.candidates[0].content, { role: 'user', parts }]);
  assert.equal(after.text, TEXT);
});

each(DIALECT, 'generateContent: tools in a stream', async ({ model }) => {
  const { parts } = await streamed(model, 'tools=2,chunk=5', { tools });
  assert.deepEqual(said(parts.filter((part) => part.functionCall).map((part) => part.functionCall)), both);
});

each(DIALECT, 'generateContent: a named tool', async ({ model }) => {
  const toolConfig = { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ['weather'] } };
  const answer = await ask(model, '', { tools, toolConfig });
  assert.deepEqual(said(answer.functionCalls), both.slice(0, 1));
});

each(DIALECT, 'generateContent: image', async ({ model }) => {
  const parts = [{ text: 'What is it?' }, { inlineData: { mimeType: 'image/png', data: IMAGE } }];
  assert.equal((await ask(model, '', {}, [{ role: 'user', parts }])).text, TEXT);
});

each(DIALECT, 'generateContent: structured output', async ({ model }) => {
  const answer = await ask(model, '', { responseMimeType: 'application/json', responseJsonSchema: person });
  assert.deepEqual(JSON.parse(answer.text), PERSON);
});

each(DIALECT, 'generateContent: thoughts over two turns', async ({ model }) => {
  const config = { maxOutputTokens: 4096, thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } };
  const answer = await ask(model, 'reason=4', config);
  const { content } = answer.candidates[0];
  assert.equal(content.parts.filter((part) => part.thought).map((part) => part.text).join(''), THOUGHTS);
  assert.ok(content.parts.some((part) => part.thoughtSignature));
  assert.equal(answer.text, TEXT);
  const next = await ask(model, '', config, [...contents, content, { role: 'user', parts: [{ text: 'And now?' }] }]);
  assert.equal(next.text, TEXT);
});

each(DIALECT, 'generateContent: stop sequence, maximum of tokens, content filter', async ({ model, stop, filter }) => {
  assert.equal((await ask(model, stop, { stopSequences: ['END'] })).candidates[0].finishReason, 'STOP');
  const cut = await ask(model, '', { maxOutputTokens: 3 });
  assert.deepEqual([cut.text, cut.candidates[0].finishReason], [SHORT, 'MAX_TOKENS']);
  if (filter === null) return;
  assert.equal((await ask(model, filter)).candidates[0].finishReason, 'SAFETY');
});

each(DIALECT, 'generateContent: errors before the answer', async ({ model }) => {
  for (const [words, status] of [['status=400', 400], ['status=429,retry_after=1', 429]])
    await assert.rejects(ask(model, words), (error) => error instanceof ApiError && error.status === status);
  await assert.rejects(ask(model, 'status=500'), (error) => error instanceof ApiError && error.status >= 500);
});

for (const [how, words] of [['an error event', BROKEN], ['a cut', CUT]])
  each(DIALECT, `generateContent: ${how} in a stream throws`, async ({ model }) => {
    let text = '';
    await assert.rejects(async () => {
      for await (const chunk of await client.models.generateContentStream(asked(model, words))) text += chunk.text ?? '';
    });
    assert.ok(text.length > 0 && TEXT.startsWith(text));
  });

each(DIALECT, 'generateContent: abort', async ({ model }) => {
  const controller = new AbortController();
  let seen = 0;
  await assert.rejects(async () => {
    for await (const chunk of await client.models.generateContentStream(asked(model, ENDLESS, { abortSignal: controller.signal })))
      if (chunk.text && ++seen === 3) controller.abort();
  });
  assert.ok(seen >= 3 && seen < 10000);
});

each(DIALECT, 'countTokens', async ({ model }) => {
  assert.ok((await client.models.countTokens({ model, contents })).totalTokens > 0);
});
