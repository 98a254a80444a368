/*
 * log.h: the diagnostic log of every process, and the sink of the access log.
 *
 * A process has one sink. log_open() names it; until then diagnostics go to stderr as text. What is
 * logged goes into a bounded ring of this process and from there to the sink without ever blocking:
 * a sink that doesn't take it costs lines (counted), never time. Lines stay whole between
 * processes: files are opened with O_APPEND, pipes and stream sockets get at most PIPE_BUF bytes of
 * whole lines at a time.
 *
 * Messages are constant text; what varies goes into typed fields:
 *
 *     log_warn("child exited", LOG_S("role", "worker"), LOG_I("slot", 3), LOG_I("status", 1));
 *
 * text: 2026-01-31T23:59:59.123456Z warn gatewayd[812] worker/3: child exited role=worker slot=3
 * json: {"ts":"…","level":"warn","pid":812,"proc":"worker/3","msg":"child
 * exited","role":"worker",…}
 *
 * Strings are escaped (text: quoted when needed), so nothing from outside can forge a line. Never
 * pass a secret: there is no redaction behind this. Safe in threads; not in signal handlers.
 */
#ifndef GW_COMMON_LOG_H
#define GW_COMMON_LOG_H

#include "common/base.h"
#include "common/errbuf.h"
#include "common/slice.h"

#include <stdatomic.h>

/* In the order of enum conf_log_level. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };
enum log_output { LOG_TO_STDERR, LOG_TO_JOURNAL, LOG_TO_FILE };

enum {
    LOG_RING_BYTES = 1024 * 1024,
    /* A longer access line is dropped and counted; a longer diagnostic is cut. */
    LOG_LINE_MAX_BYTES = 64 * 1024,
};

enum log_field_kind {
    LOG_FIELD_NONE,
    LOG_FIELD_STR,
    LOG_FIELD_INT,
    LOG_FIELD_UINT,
    LOG_FIELD_BOOL
};
struct log_field {
    const char *key; /* [a-z0-9_]+ */
    enum log_field_kind kind;
    union {
        struct slice str;
        int64_t i;
        uint64_t u;
    };
};
#define LOG_S(k, cstr)                                                                             \
    ((struct log_field){.key = (k), .kind = LOG_FIELD_STR, .str = slice_str(cstr)})
#define LOG_SL(k, slice_) ((struct log_field){.key = (k), .kind = LOG_FIELD_STR, .str = (slice_)})
#define LOG_I(k, v)       ((struct log_field){.key = (k), .kind = LOG_FIELD_INT, .i = (v)})
#define LOG_U(k, v)       ((struct log_field){.key = (k), .kind = LOG_FIELD_UINT, .u = (v)})
#define LOG_B(k, v)       ((struct log_field){.key = (k), .kind = LOG_FIELD_BOOL, .i = (v)})
/* error="No such file or directory" */
#define LOG_ERRNO(e) LOG_S("error", strerrordesc_np(e))
/* A field that isn't there when cond is false. */
#define LOG_IF(cond, field) ((cond) ? (field) : (struct log_field){.kind = LOG_FIELD_NONE})

/* `who` names the process in the line ("master", "worker/3"); copied. */
void log_init(const char *who);
void log_set_level(enum log_level level);
/* Lines that were dropped are added here too (a word in shared memory); NULL: counted in the
 * process alone. */
void log_set_drop_counter(_Atomic uint64_t *counter);

/*
 * Makes fd (borrowed: it is duplicated or opened again through /proc/self/fd, so that O_NONBLOCK
 * never touches a description that others share) the sink, instead of the one before. The journal
 * needs no descriptor (fd = -1). 0, or -1 and the sink before stays.
 */
GW_MUSTUSE int log_open(int fd, enum log_output output, enum log_format format,
                        enum log_level level, struct errbuf *e);
/* Writes out what it can without blocking and closes the sink; diagnostics go to stderr again. */
void log_close(void);
/* For the master: opens `path` for appending (created 0640), or duplicates stderr. The descriptor
 * is the caller's; -1 on failure, or for the journal, whose descriptor nobody needs (errno 0 when
 * one answers). */
GW_MUSTUSE int log_sink_open(enum log_output output, const char *path, struct errbuf *e);

bool log_enabled(enum log_level level);
void log_emit(enum log_level level, const char *msg, const struct log_field *fields, size_t n);

#define LOG_AT(level, msg, ...)                                                                    \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct log_field log_f_[] = {{.kind = LOG_FIELD_NONE}, ##__VA_ARGS__};           \
            log_emit(level, "" msg, log_f_ + 1, ARRAY_LEN(log_f_) - 1);                            \
        }                                                                                          \
    } while (0)
#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)

/* At most one line an `interval_us` from this place; the next one says how many were held back. */
#define LOG_EVERY(interval_us, level, msg, ...)                                                    \
    do {                                                                                           \
        static struct log_every log_every_;                                                        \
        uint64_t held_;                                                                            \
        if (log_every_pass(&log_every_, (interval_us), &held_))                                    \
            LOG_AT(level, msg, LOG_IF(held_ > 0, LOG_U("held_back", held_)), ##__VA_ARGS__);       \
    } while (0)
struct log_every {
    _Atomic int64_t next_us;
    _Atomic uint64_t held;
};
bool log_every_pass(struct log_every *every, int64_t interval_us, uint64_t *held);

/* Queues one finished access-log line, a flat JSON object; p has no newline (one is added). With
 * LOG_FORMAT_TEXT it is rewritten for people (common/log_text.h). */
void log_line(const char *p, size_t n);
/* Writes queued lines in batches, never blocks. Called once a loop turn; cheap when empty. */
void log_flush(void);
/* Bytes that wait in the ring. */
size_t log_pending(void);
/* Lines that this process has dropped. */
uint64_t log_dropped(void);

const char *log_level_name(enum log_level level);

#endif
