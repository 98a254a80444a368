/*
 * batch_file.h: the input file of OpenAI's batches: a request a line
 * (platform.openai.com/docs/guides/batch#1-prepare-your-batch-file).
 *
 * Its requests never pass the gateway one by one, so what each of them may do is checked when the
 * file is uploaded, and the model's name, which is one of ours, becomes the provider's.
 */
#ifndef GW_GATEWAYD_DIALECT_BATCH_FILE_H
#define GW_GATEWAYD_DIALECT_BATCH_FILE_H

#include "gatewayd/dialect/dialect.h"

/* An object that a line names; the id is borrowed from the file. False ends the reading; then *why
 * has been filled in. `param` is static text. */
typedef bool (*batch_file_ref_fn)(void *arg, enum object_kind kind, struct slice id,
                                  const char *param, struct dialect_refusal *why);

/* What a line asks for, for the bound of it all. */
typedef void (*batch_file_ask_fn)(void *arg, const struct dialect_request *ask);

struct batch_file {
    struct dialect_name model; /* of every line: the API takes one model a file */
    uint8_t url;               /* enum openai_batch_url, of every line too */
    uint32_t requests;
};

/* Reads and checks all lines. 0, or -1 with *why, which names the line. */
GW_MUSTUSE int batch_file_read(struct json_doc *scratch, struct slice file, batch_file_ref_fn ref,
                               batch_file_ask_fn line, void *arg, struct batch_file *out,
                               struct dialect_refusal *why);
/* Appends a file that has been read, with that model in every line. -1: out is full. */
GW_MUSTUSE int batch_file_rewrite(struct json_doc *scratch, struct slice file, struct slice model,
                                  struct buf *out);

#endif
