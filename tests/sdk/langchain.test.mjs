// LangChain's clients for OpenAI and Anthropic, whatever provider is behind.
import assert from 'node:assert/strict';
import { ChatAnthropic } from '@langchain/anthropic';
import { AIMessageChunk, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import {
  BROKEN, CLOCK, CUT, ENDLESS, IMAGE, ODD, PERSON, SHORT, TEXT, THOUGHTS, WEATHER, apiKey, clock, each, person, root, weather,
} from './matrix.mjs';

const openai = (useResponsesApi) => (model, words, more = {}) => new ChatOpenAI({
  model, apiKey, maxRetries: 0, useResponsesApi, ...more,
  configuration: { baseURL: `${root}/v1`, defaultHeaders: words ? { 'x-mock': words } : {} },
});
const CLIENTS = [
  { dialect: 'openai.chat', make: openai(false), finish: (answer) => answer.response_metadata.finish_reason,
    finishes: { stop: 'stop', calls: 'tool_calls', length: 'length', filter: 'content_filter' } },
  { dialect: 'openai.responses', make: (model, words, more) => openai(true)(model, words, { zdrEnabled: true, ...more }),
    finish: (answer) => answer.response_metadata.incomplete_details?.reason ?? answer.response_metadata.status,
    finishes: { stop: 'completed', calls: 'completed', length: 'max_output_tokens', filter: 'content_filter' } },
    // No thinking: it asks for reasoning only where it knows the name of an OpenAI model.
  { dialect: 'anthropic',
    make: (model, words, more = {}) => new ChatAnthropic({
      model, apiKey, maxRetries: 0, maxTokens: 1024, anthropicApiUrl: root, ...more,
      clientOptions: { defaultHeaders: words ? { 'x-mock': words } : {} },
    }),
    finish: (answer) => answer.response_metadata.stop_reason ?? answer.additional_kwargs.stop_reason,
    finishes: { stop: 'end_turn', calls: 'tool_use', length: 'max_tokens', filter: 'refusal' },
    thinking: { thinking: { type: 'enabled', budget_tokens: 2048 }, maxTokens: 4096 } },
];

const human = new HumanMessage('Say hello.');
const tools = Object.entries({ weather, clock }).map(([name, parameters]) => ({
  type: 'function', function: { name, description: `The ${name}.`, parameters } }));
const said = (calls) => calls.map((call) => [call.name, call.args]);
const both = [['weather', WEATHER], ['clock', CLOCK]];

async function gathered(stream) {
  let whole, pieces = 0;
  for await (const chunk of await stream) {
    pieces++;
    whole = whole === undefined ? chunk : whole.concat(chunk);
  }
  assert.ok(whole instanceof AIMessageChunk);
  return { whole, pieces };
}

for (const { dialect, make, finish, finishes, thinking } of CLIENTS) {
  const run = (name, body) => each(dialect, `langchain, ${dialect}: ${name}`, body);

  run('text', async ({ model }) => {
    const answer = await make(model, 'prompt=9,completion=8').invoke([human]);
    assert.equal(answer.text, TEXT);
    assert.equal(finish(answer), finishes.stop);
    assert.deepEqual([answer.usage_metadata.input_tokens, answer.usage_metadata.output_tokens], [9, 8]);
  });

  run('stream', async ({ model }) => {
    const { whole, pieces } = await gathered(make(model, 'unicode=1,chunk=3').stream([human]));
    assert.equal(whole.text, ODD);
    assert.ok(pieces >= 3);
  });

  run('parallel tools and their results', async ({ model }) => {
    const answer = await make(model, 'tools=2').bindTools(tools).invoke([human]);
    assert.equal(finish(answer), finishes.calls);
    assert.deepEqual(said(answer.tool_calls), both);
    const results = answer.tool_calls.map((call) => new ToolMessage({ tool_call_id: call.id, content: 'fine' }));
    const after = await make(model).bindTools(tools).invoke([human, answer, ...results]);
    assert.equal(after.text, TEXT);
  });

  run('tools in a stream', async ({ model }) => {
    const { whole } = await gathered(make(model, 'tools=2,chunk=5').bindTools(tools).stream([human]));
    assert.deepEqual(said(whole.tool_calls), both);
  });

  run('a named tool', async ({ model }) => {
    const answer = await make(model).bindTools(tools, { tool_choice: 'weather' }).invoke([human]);
    assert.deepEqual(said(answer.tool_calls), both.slice(0, 1));
  });

  run('image', async ({ model }) => {
    const content = [{ type: 'text', text: 'What is it?' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${IMAGE}` } }];
    assert.equal((await make(model).invoke([new HumanMessage({ content })])).text, TEXT);
  });

  run('structured output', async ({ model }) => {
    const method = dialect === 'anthropic' ? 'functionCalling' : 'jsonSchema';
    assert.deepEqual(await make(model).withStructuredOutput(person, { name: 'person', method }).invoke([human]), PERSON);
  });

  if (thinking)
    run('reasoning over two turns', async ({ model }) => {
      const answer = await make(model, 'reason=4', thinking).invoke([human]);
            assert.ok(JSON.stringify([answer.content, answer.additional_kwargs]).includes(THOUGHTS));
      assert.equal(answer.text, TEXT);
      const next = await make(model, '', thinking).invoke([human, answer, new HumanMessage('And now?')]);
      assert.equal(next.text, TEXT);
    });

  run('maximum of tokens, content filter', async ({ model, filter }) => {
    const cut = await make(model, '', { maxTokens: 3 }).invoke([human]);
    assert.deepEqual([cut.text, finish(cut)], [SHORT, finishes.length]);
    if (filter === null) return;
    assert.equal(finish(await make(model, filter).invoke([human])), finishes.filter);
  });

  run('errors before the answer', async ({ model }) => {
    for (const [words, status] of [['status=400', 400], ['status=429,retry_after=1', 429]])
      await assert.rejects(make(model, words).invoke([human]), (error) => error.status === status);
    await assert.rejects(make(model, 'status=500').invoke([human]), (error) => error.status >= 500);
  });

  for (const [how, words] of [['an error event', BROKEN], ['a cut', CUT]])
    run(`${how} in a stream throws`, async ({ model }) => {
      await assert.rejects(gathered(make(model, words).stream([human])));
    });

  run('abort', async ({ model }) => {
    const controller = new AbortController();
    let seen = 0;
    try {
      for await (const chunk of await make(model, ENDLESS, { maxTokens: 20000 }).stream([human], { signal: controller.signal }))
        if (chunk.text && ++seen === 3) controller.abort();
    } catch {
      // Some clients throw on an abort, some end.
    }
    assert.ok(seen >= 3 && seen < 10000);
  });
}
