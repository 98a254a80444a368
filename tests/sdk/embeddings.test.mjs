// Embeddings by the official clients, whatever provider is behind. OpenAI's asks for base64 unless it is told otherwise.
import assert from 'node:assert/strict';
import test from 'node:test';
import { GoogleGenAI } from '@google/genai';
import { OpenAIEmbeddings } from '@langchain/openai';
import { createOpenAI } from '@ai-sdk/openai';
import { embedMany } from 'ai';
import OpenAI from 'openai';
import { apiKey, root } from './matrix.mjs';

const baseURL = `${root}/v1`;
const MODELS = ['openai-chat', 'openai-compatible-chat', 'gemini-chat', 'cohere-chat'];
const TEXTS = ['one', 'zwei \u00fc', '\u4e09'];

function check(vectors, length) {
  assert.equal(vectors.length, TEXTS.length);
  for (const vector of vectors) {
    assert.equal(vector.length, length);
    assert.ok(vector.every((x) => Number.isFinite(x) && Math.abs(x) <= 1));
  }
  assert.notDeepEqual(vectors[0], vectors[1]);
}

for (const model of MODELS) {
  test(`openai: base64 and numbers are the same vectors [${model}]`, async () => {
    const client = new OpenAI({ baseURL, apiKey });
    const packed = await client.embeddings.create({ model, input: TEXTS, dimensions: 64 });
    const plain = await client.embeddings.create({ model, input: TEXTS, dimensions: 64, encoding_format: 'float' });
    const vectors = packed.data.map((item) => Array.from(item.embedding));
    check(vectors, 64);
    plain.data.forEach((item, i) => item.embedding.forEach((x, k) => assert.ok(Math.abs(x - vectors[i][k]) < 1e-6)));
    assert.ok(packed.usage.prompt_tokens > 0);
  });

  test(`google: embedContent [${model}]`, async () => {
    const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: root } });
    const answer = await client.models.embedContent({
      model, contents: TEXTS, config: { taskType: 'RETRIEVAL_DOCUMENT', outputDimensionality: 64 } });
    check(answer.embeddings.map((item) => item.values), 64);
  });

  test(`langchain: embedDocuments [${model}]`, async () => {
    const embeddings = new OpenAIEmbeddings({ model, apiKey, configuration: { baseURL } });
    check(await embeddings.embedDocuments(TEXTS), 64);
  });

  test(`ai: embedMany [${model}]`, async () => {
    const openai = createOpenAI({ baseURL, apiKey });
    const answer = await embedMany({ model: openai.embedding(model), values: TEXTS });
    check(answer.embeddings, 64);
    assert.ok(answer.usage.tokens > 0);
  });
}
