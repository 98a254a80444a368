// Vercel's AI SDK with its OpenAI, Anthropic and Cohere providers, whatever provider is behind.
import assert from 'node:assert/strict';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createCohere } from '@ai-sdk/cohere';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, Output, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';
import {
  BROKEN, CLOCK, CUT, ENDLESS, IMAGE, ODD, PERSON, SHORT, TEXT, THOUGHTS, WEATHER, apiKey, clock, each, person, root, weather,
} from './matrix.mjs';

const openai = createOpenAI({ baseURL: `${root}/v1`, apiKey });
const anthropic = createAnthropic({ baseURL: `${root}/v1`, apiKey });
const cohere = createCohere({ baseURL: `${root}/v2`, apiKey });
const CLIENTS = [
  { dialect: 'openai.chat', make: (name) => openai.chat(name), thinks: false, stops: true },
  { dialect: 'openai.responses', make: (name) => openai.responses(name), thinks: true, stops: false,
    options: { openai: { store: false } },
    thinking: { openai: { store: false, reasoningEffort: 'medium', reasoningSummary: 'auto', forceReasoning: true,
      include: ['reasoning.encrypted_content'] } } },
  { dialect: 'anthropic', make: (name) => anthropic(name), thinks: true, stops: true,
    thinking: { anthropic: { thinking: { type: 'enabled', budgetTokens: 2048 } } } },
  { dialect: 'cohere', make: (name) => cohere(name), thinks: true, stops: true, filtered: 'error',
    thinking: { cohere: { thinking: { type: 'enabled', tokenBudget: 2048 } } } },
];

const prompt = 'Say hello.';
const declare = (execute) => ({
  weather: tool({ description: 'The weather.', inputSchema: jsonSchema(weather), ...(execute && { execute }) }),
  clock: tool({ description: 'The clock.', inputSchema: jsonSchema(clock), ...(execute && { execute }) }),
});
const said = (calls) => calls.map((call) => [call.toolName, call.input]);
const both = [['weather', WEATHER], ['clock', CLOCK]];

for (const { dialect, make, options = {}, thinking, thinks, stops, filtered = 'content-filter' } of CLIENTS) {
  const asked = (model, words, more = {}) => ({
    model: make(model), prompt, maxRetries: 0, providerOptions: options, maxOutputTokens: 1024,
    ...(words && { headers: { 'x-mock': words } }), ...more,
  });
  const run = (name, body) => each(dialect, `ai, ${dialect}: ${name}`, body);

  run('text', async ({ model, provider }) => {
    // What Cohere calls `tokens` counts its own prompt as well.
    const around = dialect === 'cohere' && provider === 'cohere' ? 60 : 0;
    const answer = await generateText(asked(model, 'prompt=9,completion=8'));
    assert.equal(answer.text, TEXT);
    assert.equal(answer.finishReason, 'stop');
    assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [9 + around, 8]);
  });

  run('stream', async ({ model }) => {
    const answer = streamText(asked(model, 'unicode=1,chunk=3'));
    let pieces = 0, text = '';
    for await (const piece of answer.textStream) {
      pieces++;
      text += piece;
    }
    assert.equal(text, ODD);
    assert.ok(pieces >= 3);
    assert.equal(await answer.finishReason, 'stop');
    assert.ok((await answer.usage).outputTokens > 0);
  });

  run('parallel tools', async ({ model }) => {
    const answer = await generateText(asked(model, 'tools=2', { tools: declare() }));
    assert.equal(answer.finishReason, 'tool-calls');
    assert.deepEqual(said(answer.toolCalls), both);
  });

  run('tools in a stream', async ({ model }) => {
    const answer = streamText(asked(model, 'tools=2,chunk=5', { tools: declare() }));
    assert.deepEqual(said(await answer.toolCalls), both);
  });

  run('tools and their results', async ({ model }) => {
    const first = await generateText(asked(model, 'tools=2', { tools: declare(async () => 'fine') }));
    assert.deepEqual(said(first.toolCalls), both);
    const messages = [{ role: 'user', content: prompt }, ...first.response.messages];
    const after = await generateText(asked(model, '', { prompt: undefined, messages, tools: declare(), stopWhen: isStepCount(1) }));
    assert.equal(after.text, TEXT);
  });

  run('a named tool', async ({ model }) => {
    const answer = await generateText(asked(model, '', { tools: declare(), toolChoice: { type: 'tool', toolName: 'weather' } }));
    assert.deepEqual(said(answer.toolCalls), both.slice(0, 1));
  });

  run('image', async ({ model }) => {
    const content = [{ type: 'text', text: 'What is it?' }, { type: 'image', image: IMAGE, mediaType: 'image/png' }];
    const answer = await generateText(asked(model, '', { prompt: undefined, messages: [{ role: 'user', content }] }));
    assert.equal(answer.text, TEXT);
  });

  run('structured output', async ({ model }) => {
    const answer = await generateText(asked(model, '', { output: Output.object({ schema: jsonSchema(person) }) }));
    assert.deepEqual(answer.output, PERSON);
  });

  if (thinks)
    run('reasoning over two turns', async ({ model }) => {
      const more = { providerOptions: thinking, maxOutputTokens: 4096 };
      const answer = await generateText(asked(model, 'reason=4', more));
      assert.equal(answer.reasoningText, THOUGHTS);
      assert.equal(answer.text, TEXT);
      const messages = [{ role: 'user', content: prompt }, ...answer.response.messages, { role: 'user', content: 'And now?' }];
      const next = await generateText(asked(model, '', { ...more, prompt: undefined, messages }));
      assert.equal(next.text, TEXT);
    });

  run('maximum of tokens, content filter', async ({ model, filter }) => {
    const cut = await generateText(asked(model, '', { maxOutputTokens: 3 }));
    assert.deepEqual([cut.text, cut.finishReason], [SHORT, 'length']);
    if (filter === null) return;
    assert.equal((await generateText(asked(model, filter))).finishReason, filtered);
  });

  if (stops)
    run('stop sequence', async ({ model, stop }) => {
      assert.equal((await generateText(asked(model, stop, { stopSequences: ['END'] }))).finishReason, 'stop');
    });

  run('errors before the answer', async ({ model }) => {
    for (const [words, status] of [['status=400', 400], ['status=429,retry_after=1', 429], ['status=500', 502]])
      await assert.rejects(generateText(asked(model, words)),
        (error) => APICallError.isInstance(error) && (error.statusCode === status || (status === 502 && error.statusCode >= 500)));
  });

  for (const [how, words] of [['an error event', BROKEN], ['a cut', CUT]])
    run(`${how} in a stream is no clean end`, async ({ model }) => {
      const errors = [];
      const answer = streamText(asked(model, words, { onError: ({ error }) => { errors.push(error); } }));
      let text = '', finish;
      try {
        for await (const part of answer.fullStream) {
          if (part.type === 'text-delta') text += part.text;
          if (part.type === 'error') errors.push(part.error);
          if (part.type === 'finish') finish = part.finishReason;
        }
      } catch (error) {
        errors.push(error);
      }
      assert.ok(errors.length > 0, 'the failure is not told');
      assert.notEqual(finish, 'stop');
      assert.ok(TEXT.startsWith(text));
    });

  run('abort', async ({ model }) => {
    const controller = new AbortController();
    let seen = 0;
    const answer = streamText(asked(model, ENDLESS, { abortSignal: controller.signal, maxOutputTokens: 20000 }));
    for await (const part of answer.fullStream)
      if (part.type === 'text-delta' && ++seen === 3) controller.abort();
    assert.ok(seen >= 3 && seen < 10000);
  });
}
