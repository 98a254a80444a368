/*
 * count.h: the codecs of token counting.
 *
 * A count is a chat that isn't answered: its request is read and written by the codec of the
 * dialect's chats, in the envelope that the operation has, and holds only what a prompt is made of.
 * The count is ir_response.usage.input_tokens.
 */
#ifndef GW_GATEWAYD_DIALECT_COUNT_H
#define GW_GATEWAYD_DIALECT_COUNT_H

#include "gatewayd/dialect/codec.h"

extern const struct codec codec_anthropic_count, codec_gemini_count, codec_responses_count,
    codec_bedrock_count;

#endif
