/*
 * eventstream.h: frames of application/vnd.amazon.eventstream, as a provider writes them
 * (https://smithy.io/2.0/aws/amazon-eventstream.html).
 */
#ifndef MOCKLLM_EVENTSTREAM_H
#define MOCKLLM_EVENTSTREAM_H

#include "tests/mockllm/bytes.h"

/* An event of that :event-type, or, with `exception`, an exception of that :exception-type, around
 * a payload of JSON. */
void eventstream_add(struct bytes *out, const char *type, bool exception, struct slice payload);

#endif
