/*
 * provenance.h: who signed a piece of reasoning, so that a signature comes back to its own maker
 * and to nobody else.
 *
 * Providers sign the reasoning that they show, or encrypt it, and take it back in the next turn;
 * another one's they refuse (Anthropic: "Invalid signature in thinking block", OpenAI:
 * invalid_encrypted_content, Google: a corrupt thought signature). When a signature leaves in
 * another dialect than its maker's, a tag is put in front of it, which tells the maker when it
 * comes back; an untagged one is the dialect's own. Signatures of one family are good at all that
 * serve it: Claude's on Anthropic's API, Bedrock and Vertex (platform.claude.com/docs/en/
 * build-with-claude/extended-thinking, "Thinking encryption": compatible across platforms).
 *
 * A tag is twelve characters that base64 may hold, so what is base64 stays so and decoders that
 * give bytes back give the tag back: "gwSigned", three letters of the maker, and one of '0'
 * (behind it the signature as it was made), '1' (likewise, of reasoning that is all encrypted), 'A'
 * and 'B' (the same two, encoded as base64 once more, for dialects in which it must be).
 */
#ifndef GW_GATEWAYD_DIALECT_PROVENANCE_H
#define GW_GATEWAYD_DIALECT_PROVENANCE_H

#include "gatewayd/dialect/codec.h"

/* Also the mark in the ids of tool calls which carry a signature (ir_write_signed_id). */
#define PROVENANCE_MARK "gwSigned"

/* The name that OpenRouter gives the maker in `format` of reasoning_details
 * (openrouter.ai/docs/use-cases/reasoning-tokens, "Reasoning details"); NULL: it has none. */
const char *provenance_format(enum ir_maker m);
/* IR_MAKER_UNSAID: t names none that is known. */
enum ir_maker provenance_of_format(struct ir_text t);

/* struct codec.made_by */
enum ir_maker provenance_claude(struct slice model);
enum ir_maker provenance_gemini(struct slice model);
enum ir_maker provenance_cohere(struct slice model);
enum ir_maker provenance_responses(struct slice model);
/* Routers of the OpenAI dialect pass on what the maker of the model signed. */
enum ir_maker provenance_chat(struct slice model);

/* The maker that the tag tells, which is taken off; UNSAID: there is none. *redacted is set by the
 * tag alone. The text is in the arena or borrowed. */
enum ir_maker provenance_untag(struct arena *a, struct ir_text *signature, bool *redacted);
/* With the tag of m in front, in the arena; {NULL}: it doesn't fit. `bytes`: it must be base64 and
 * is made so. */
struct ir_text provenance_tag(struct arena *a, enum ir_maker m, struct ir_text signature,
                              bool redacted, bool bytes);

/* Of a request that was read: takes the tags off, and every signature which this model of target's
 * dialect didn't make, together with reasoning that is nothing but a signature. What is left out
 * so is listed in dropped (may be NULL) under the caller's name. */
void provenance_settle(struct ir_request *r, const struct codec *caller,
                       const struct codec *provider, struct slice model, struct buf *dropped);
/* Whose an untagged signature is in a dialect. */
enum ir_maker provenance_untagged(const struct codec *c);
/* Of an answer that was read: tags what the caller's dialect didn't sign itself. */
void provenance_mark(struct ir_response *r, const struct codec *provider,
                     const struct codec *caller, struct slice model);

/* A body in which a string begins with a tag or is an id that carries a signature. What is looked
 * at is a string's first word, of at most PROVENANCE_LOOK_BYTES: not the text of a conversation. */
enum { PROVENANCE_LOOK_BYTES = 512 };
bool provenance_in(const struct json_doc *body);

#endif
