/*
 * fuzz_codec_openai_responses.c: see codec_fuzz.h.
 */
#include "tests/fuzz/codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_codec(&codec_openai_responses, data, size);
}
