/*
 * fuzz_codec_cohere.c: the codec of the Cohere dialect on any bytes.
 */
#include "tests/fuzz/codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_codec(&codec_cohere, data, size);
}
