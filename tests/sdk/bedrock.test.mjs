// The AWS SDK's client for Bedrock with a key of the gateway's, whatever provider is behind. It wants
// HTTP/2 unless it is given the handler for HTTP/1.1.
import assert from 'node:assert/strict';
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import {
  BROKEN, CLOCK, CUT, ENDLESS, IMAGE, ODD, PERSON, SHORT, TEXT, THOUGHTS, WEATHER, apiKey, clock, each, person, root, weather,
} from './matrix.mjs';

const DIALECT = 'bedrock';
const messages = [{ role: 'user', content: [{ text: 'Say hello.' }] }];
const toolConfig = { tools: Object.entries({ weather, clock }).map(([name, json]) => ({ toolSpec: { name, inputSchema: { json } } })) };
const said = (calls) => calls.map((call) => [call.name, call.input]);
const callsOf = (content) => content.filter((block) => block.toolUse).map((block) => block.toolUse);
const textOf = (content) => content.map((block) => block.text ?? '').join('');
const both = [['weather', WEATHER], ['clock', CLOCK]];

function client(words) {
  const made = new BedrockRuntimeClient({
    region: 'us-east-1', endpoint: root, token: { token: apiKey }, authSchemePreference: ['httpBearerAuth'], maxAttempts: 1,
    requestHandler: new NodeHttpHandler(),
  });
  if (words)
    made.middlewareStack.add((next) => (args) => {
      args.request.headers['x-mock'] = words;
      return next(args);
    }, { step: 'build' });
  return made;
}

async function ask(modelId, words, more = {}) {
  const answer = await client(words).send(new ConverseCommand({ modelId, messages, ...more }));
  return { ...answer, message: answer.output.message, content: answer.output.message.content };
}

async function streamed(modelId, words, more = {}, seen = () => {}, options = {}) {
  const { stream } = await client(words).send(new ConverseStreamCommand({ modelId, messages, ...more }), options);
  const content = [];
  let stopReason, usage, deltas = 0;
  for await (const event of stream) {
    if (event.contentBlockStart)
      content[event.contentBlockStart.contentBlockIndex] = { toolUse: { ...event.contentBlockStart.start.toolUse, input: '' } };
    if (event.contentBlockDelta) {
      const { contentBlockIndex: index, delta } = event.contentBlockDelta;
      deltas++;
      if (delta.text !== undefined) (content[index] ??= { text: '' }).text += delta.text;
      if (delta.toolUse) content[index].toolUse.input += delta.toolUse.input;
      if (delta.reasoningContent) {
        const { reasoningText } = (content[index] ??= { reasoningContent: { reasoningText: { text: '' } } }).reasoningContent;
        reasoningText.text += delta.reasoningContent.text ?? '';
        if (delta.reasoningContent.signature) reasoningText.signature = delta.reasoningContent.signature;
      }
      seen(delta);
    }
    stopReason = event.messageStop?.stopReason ?? stopReason;
    usage = event.metadata?.usage ?? usage;
  }
  for (const block of content) if (block.toolUse) block.toolUse.input = JSON.parse(block.toolUse.input);
  return { content, stopReason, usage, deltas };
}

each(DIALECT, 'converse: text', async ({ model }) => {
  const answer = await ask(model, 'prompt=9,completion=8', { system: [{ text: 'Be brief.' }] });
  assert.equal(textOf(answer.content), TEXT);
  assert.equal(answer.stopReason, 'end_turn');
  assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [9, 8]);
});

each(DIALECT, 'converse: stream', async ({ model }) => {
  const answer = await streamed(model, 'unicode=1,chunk=3');
  assert.equal(textOf(answer.content), ODD);
  assert.equal(answer.stopReason, 'end_turn');
  assert.ok(answer.usage.outputTokens > 0);
  assert.ok(answer.deltas >= 3);
});

each(DIALECT, 'converse: parallel tools and their results', async ({ model }) => {
  const answer = await ask(model, 'tools=2', { toolConfig });
  assert.equal(answer.stopReason, 'tool_use');
  assert.deepEqual(said(callsOf(answer.content)), both);
  const content = callsOf(answer.content).map(({ toolUseId }) => ({ toolResult: { toolUseId, content: [{ text: 'fine' }] } }));
  const after = await ask(model, '', { toolConfig, messages: [...messages, answer.message, { role: 'user', content }] });
  assert.equal(textOf(after.content), TEXT);
});

each(DIALECT, 'converse: tools in a stream', async ({ model }) => {
  const answer = await streamed(model, 'tools=2,chunk=5', { toolConfig });
  assert.deepEqual(said(callsOf(answer.content)), both);
  assert.equal(answer.stopReason, 'tool_use');
});

each(DIALECT, 'converse: a named tool', async ({ model }) => {
  const answer = await ask(model, '', { toolConfig: { ...toolConfig, toolChoice: { tool: { name: 'weather' } } } });
  assert.deepEqual(said(callsOf(answer.content)), both.slice(0, 1));
});

each(DIALECT, 'converse: image', async ({ model }) => {
  const content = [{ text: 'What is it?' }, { image: { format: 'png', source: { bytes: Buffer.from(IMAGE, 'base64') } } }];
  assert.equal(textOf((await ask(model, '', { messages: [{ role: 'user', content }] })).content), TEXT);
});

each(DIALECT, 'converse: structured output', async ({ model }) => {
  const structure = { jsonSchema: { name: 'person', schema: JSON.stringify(person) } };
  const answer = await ask(model, '', { outputConfig: { textFormat: { type: 'json_schema', structure } } });
  assert.deepEqual(JSON.parse(textOf(answer.content)), PERSON);
});

each(DIALECT, 'converse: reasoning over two turns', async ({ model }) => {
  const more = { inferenceConfig: { maxTokens: 4096 },
    additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 2048 } } };
  const { content } = await streamed(model, 'reason=4', more);
  const { text, signature } = content[0].reasoningContent.reasoningText;
  assert.equal(text, THOUGHTS);
  assert.ok(signature);
  assert.equal(textOf(content), TEXT);
  const turns = [...messages, { role: 'assistant', content }, { role: 'user', content: [{ text: 'And now?' }] }];
  assert.equal(textOf((await ask(model, '', { ...more, messages: turns })).content), TEXT);
});

each(DIALECT, 'converse: stop sequence, maximum of tokens, content filter', async ({ model, stop, filter, tellsStop }) => {
  const stopped = await ask(model, stop, { inferenceConfig: { stopSequences: ['END'] } });
  assert.equal(stopped.stopReason, tellsStop ? 'stop_sequence' : 'end_turn');
  const cut = await ask(model, '', { inferenceConfig: { maxTokens: 3 } });
  assert.deepEqual([textOf(cut.content), cut.stopReason], [SHORT, 'max_tokens']);
  if (filter === null) return;
  assert.equal((await ask(model, filter)).stopReason, 'content_filtered');
});

each(DIALECT, 'converse: errors before the answer', async ({ model }) => {
  await assert.rejects(ask(model, 'status=400'), { name: 'ValidationException' });
  await assert.rejects(ask(model, 'status=429,retry_after=1'), { name: 'ThrottlingException' });
  await assert.rejects(ask(model, 'status=500'), (error) => error.$metadata.httpStatusCode >= 500);
});

for (const [how, words] of [['an exception', BROKEN], ['a cut', CUT]])
  each(DIALECT, `converse: ${how} in a stream throws`, async ({ model }) => {
    let text = '';
    await assert.rejects(streamed(model, words, {}, (delta) => { text += delta.text ?? ''; }));
    assert.ok(text.length > 0 && TEXT.startsWith(text));
  });

each(DIALECT, 'converse: abort', async ({ model }) => {
  const controller = new AbortController();
  let seen = 0;
  await streamed(model, ENDLESS, {}, () => { if (++seen === 3) controller.abort(); },
    { abortSignal: controller.signal }).catch(() => {});
  assert.ok(seen >= 3 && seen < 10000);
});
