/*
 * test_log.c: lines in both formats, and sinks that are slow, full, gone or shared.
 */
#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64], path[96];

static int set_up(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/test_log.XXXXXX");
    clock_fake_set(1, 1769904000123456);
    log_init("worker/3");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/log", dir);
    return 0;
}

static int tear_down(void **state)
{
    log_close();
    log_set_drop_counter(NULL);
    clock_fake_set(-1, -1);
    unlink(path);
    return rmdir(dir);
}

static void open_file(enum log_format format, enum log_level level)
{
    int fd = log_sink_open(LOG_TO_FILE, path, NULL);
    assert_true(fd >= 0);
    assert_int_equal(log_open(fd, LOG_TO_FILE, format, level, NULL), 0);
    close(fd);
}

static char *read_file(void)
{
    static char text[3 * 1024 * 1024];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

static void log_one(void)
{
    log_warn("child exited", LOG_S("role", "worker"), LOG_I("status", -1), LOG_U("big", UINT64_MAX),
             LOG_B("ready", true), LOG_IF(false, LOG_I("absent", 1)),
             LOG_S("text", "a \"b\"\n\x01\xff\xc3\xa9"), LOG_S("empty", NULL));
}

static void writes_json(void **state)
{
    char want[512];
    open_file(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    log_one();
    log_debug("not at this level");
    snprintf(want, sizeof want,
             "{\"ts\":\"2026-02-01T00:00:00.123456Z\",\"level\":\"warn\",\"pid\":%d,"
             "\"proc\":\"worker/3\",\"msg\":\"child exited\",\"role\":\"worker\",\"status\":-1,"
             "\"big\":18446744073709551615,\"ready\":true,"
             "\"text\":\"a \\\"b\\\"\\n\\u0001\\ufffd\xc3\xa9\",\"empty\":\"\"}\n",
             (int)getpid());
    assert_string_equal(read_file(), want);
}

static void writes_text_that_nothing_forges(void **state)
{
    char want[512];
    open_file(LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
    log_one();
    snprintf(want, sizeof want,
             "2026-02-01T00:00:00.123456Z warn gatewayd[%d] worker/3: child exited role=worker "
             "status=-1 big=18446744073709551615 ready=true "
             "text=\"a \\\"b\\\"\\n\\u0001\\ufffd\xc3\xa9\" empty=\"\"\n",
             (int)getpid());
    assert_string_equal(read_file(), want);
}

static void writes_request_lines_for_people(void **state)
{
    static const char ugly[] = "{\"id\":\"1\",\"path\":\"/a b\",\"key\":\"x status=200 \\\"\\n\","
                               "\"status\":404,\"empty\":\"\"}";
    static const char line[] =
        "{\"ts\":\"2026-01-31T23:59:59.123456Z\",\"id\":\"01-a\",\"key\":\"ci\",\"method\":"
        "\"POST\","
        "\"path\":\"/v1/chat/completions\",\"status\":200,\"stream\":true,\"total_ms\":812.204,"
        "\"worker\":3}";
    static const char *const odd[] = {"queued", "{}", "{\"a\":1", "{\"a\":\"b}", "{\"a\"}", "{"};
    char want[1024];
    open_file(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    log_line(line, sizeof line - 1);
    log_line(ugly, sizeof ugly - 1);
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        log_line(odd[i], strlen(odd[i]));
    log_flush();
    int n =
        snprintf(want, sizeof want,
                 "2026-01-31T23:59:59.123456Z request gatewayd[%d] worker/3: POST "
                 "/v1/chat/completions 200 id=01-a key=ci stream=true total_ms=812.204\n"
                 " request gatewayd[%d] worker/3: \"/a b\" 404 id=1 key=\"x status=200 \\\"\\n\" "
                 "empty=\"\"\n",
                 (int)getpid(), (int)getpid());
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        n += snprintf(want + n, sizeof want - (size_t)n, "%s\n", odd[i]);
    assert_string_equal(read_file(), want);
}

/* A journal of our own in a mount namespace of our own, at the place where the daemon looks. */
static int open_journal(void)
{
    static const struct sockaddr_un at = {.sun_family = AF_UNIX,
                                          .sun_path = "/run/systemd/journal/socket"};
    struct timeval patience = {.tv_sec = 10};
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("gwtest", "/run", "tmpfs", 0, "size=64k") < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(mkdir("/run/systemd", 0755) | mkdir("/run/systemd/journal", 0755), 0);
    assert_int_equal(bind(fd, (const void *)&at, sizeof at), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return fd;
}

static void expect_packet(int fd, const char *want, size_t n)
{
    static char got[LOG_LINE_MAX_BYTES + 1024];
    ssize_t len = recv(fd, got, sizeof got, 0);
    assert_int_equal(len, n);
    assert_memory_equal(got, want, n);
}
#define HEAD(priority)                                                                             \
    "SYSLOG_IDENTIFIER=gatewayd\nPRIORITY=" priority "\nGATEWAYD_PROCESS=worker/3\nMESSAGE="
#define EXPECT(fd, lit) expect_packet((fd), (lit), sizeof(lit) - 1)

static void writes_to_the_journal(void **state)
{
    struct errbuf e;
    int fd = open_journal();
    if (fd < 0) {
        print_message("journal: needs the right to mount (%s), skipped\n", strerror(errno));
        skip();
    }
    assert_int_equal(log_sink_open(LOG_TO_JOURNAL, NULL, &e), -1);
    assert_int_equal(errno, 0);
    assert_int_equal(log_open(-1, LOG_TO_JOURNAL, LOG_FORMAT_JSON, LOG_LEVEL_INFO, &e), 0);
    log_warn("child exited", LOG_S("role", "worker"), LOG_I("status", 1));
    EXPECT(fd, HEAD("4") "child exited role=worker status=1\n");
    log_error("bad", LOG_S("text", "two\nlines"));
    EXPECT(fd, HEAD("3") "bad text=\"two\\nlines\"\n");
    log_line("{\"id\":\"1\",\"status\":200}", 23);
    log_flush();
    EXPECT(fd, HEAD("6") "{\"id\":\"1\",\"status\":200}\n");
    assert_int_equal(log_open(-1, LOG_TO_JOURNAL, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, &e), 0);
    log_line("{\"id\":\"1\",\"status\":200}", 23);
    log_flush();
    EXPECT(fd, HEAD("6") "200 id=1\n");

    /* One that reads nothing: lines wait, and none is lost once it reads again. */
    uint64_t before = log_dropped();
    unsigned sent = 0, got = 0;
    for (; log_pending() == 0; sent++) {
        log_line("{\"id\":\"1\",\"status\":200}", 23);
        log_flush();
    }
    for (; got < sent; got++) {
        EXPECT(fd, HEAD("6") "200 id=1\n");
        log_flush();
    }
    assert_int_equal(log_dropped() - before, 0);

    /* One that is gone: lines are counted, and the next configuration that names it is refused. */
    close(fd);
    log_line("x", 1);
    log_flush();
    log_warn("lost");
    assert_int_equal(log_dropped() - before, 2);
    assert_int_equal(log_sink_open(LOG_TO_JOURNAL, NULL, &e), -1);
    assert_int_not_equal(errno, 0);
    assert_non_null(strstr(e.msg, "/run/systemd/journal/socket"));
    log_close();
    assert_int_equal(umount2("/run", MNT_DETACH), 0);
}

static void cuts_a_long_diagnostic_into_valid_json(void **state)
{
    char *huge = malloc(100001);
    memset(huge, '\n', 100000); /* each becomes two bytes */
    huge[100000] = '\0';
    open_file(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    log_info("long", LOG_S("text", huge), LOG_I("after", 1));
    const char *text = read_file();
    size_t n = strlen(text);
    assert_in_range(n, 4096, 8192);
    assert_string_equal(text + n - 5, "\\n\"}\n");
    free(huge);
}

static void holds_back_what_repeats(void **state)
{
    open_file(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    for (int i = 0; i < 10; i++) {
        if (i == 9)
            clock_fake_set(6000000, 1769904000123456);
        LOG_EVERY(5000000, LOG_LEVEL_INFO, "again");
    }
    const char *text = read_file();
    assert_non_null(strstr(text, "again\n"));
    assert_non_null(strstr(text, "again held_back=8\n"));
}

/* A reader that has stopped: nothing waits, whole lines arrive in order, the rest is counted. */
static void never_waits_for_a_pipe(void **state)
{
    enum { LINES = 20000 };
    _Atomic uint64_t dropped = 0;
    int p[2];
    char line[128];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    log_set_drop_counter(&dropped);
    assert_int_equal(log_open(p[1], LOG_TO_FILE, LOG_FORMAT_JSON, LOG_LEVEL_INFO, NULL), 0);
    assert_int_equal(fcntl(p[1], F_GETFL) & O_NONBLOCK, 0); /* others share this description */
    uint64_t before = log_dropped();
    for (int i = 0; i < LINES; i++) {
        int n = snprintf(line, sizeof line, "%-99d", i);
        log_line(line, (size_t)n);
        log_flush();
    }
    assert_in_range(log_pending(), LOG_RING_BYTES - 200, LOG_RING_BYTES);
    assert_in_range(dropped, LINES - 64 * 1024 / 100 - LOG_RING_BYTES / 100 - 2, LINES - 1);
    assert_int_equal(dropped, log_dropped() - before);

    close(p[1]);
    int seen = 0;
    for (size_t have = 0; seen < LINES - (int)dropped;) {
        char block[PIPE_BUF];
        log_flush();
        ssize_t n = read(p[0], block + have, sizeof block - have);
        assert_true(n > 0);
        size_t len = have + (size_t)n, at = 0;
        for (; at + 100 <= len; at += 100)
            assert_int_equal(atoi(block + at), seen++);
        have = len - at;
        memmove(block, block + at, have);
    }
    assert_int_equal(log_pending(), 0);
    close(p[0]);
}

static void never_waits_for_a_stream_socket(void **state)
{
    int s[2];
    char line[1000];
    memset(line, 'x', sizeof line);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    assert_int_equal(log_open(s[1], LOG_TO_STDERR, LOG_FORMAT_JSON, LOG_LEVEL_INFO, NULL), 0);
    assert_int_equal(fcntl(s[1], F_GETFL) & O_NONBLOCK, 0);
    for (int i = 0; i < 3000; i++) {
        log_line(line, sizeof line);
        log_flush();
    }
    assert_true(log_pending() > 0);
    close(s[0]);
    uint64_t before = log_dropped();
    log_flush(); /* a sink that is gone: counted, and no SIGPIPE */
    assert_int_equal(log_pending(), 0);
    assert_true(log_dropped() > before);
    close(s[1]);
}

static void counts_a_line_that_is_too_long(void **state)
{
    char *line = calloc(1, LOG_LINE_MAX_BYTES);
    uint64_t before = log_dropped();
    open_file(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    memset(line, 'x', LOG_LINE_MAX_BYTES);
    log_line(line, LOG_LINE_MAX_BYTES);
    log_line(line, LOG_LINE_MAX_BYTES - 1);
    log_flush();
    assert_int_equal(log_dropped() - before, 1);
    assert_int_equal(strlen(read_file()), LOG_LINE_MAX_BYTES);
    free(line);
}

static void reopens_after_rotation(void **state)
{
    char moved[128];
    snprintf(moved, sizeof moved, "%s.1", path);
    open_file(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    log_info("before");
    assert_int_equal(rename(path, moved), 0);
    log_line("queued", 6);
    open_file(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    log_info("after");
    assert_non_null(strstr(read_file(), "after\n"));
    assert_null(strstr(read_file(), "before"));
    assert_null(strstr(read_file(), "queued")); /* went to where it belonged */
    assert_int_equal(unlink(moved), 0);
}

/* `gatewayd >log 2>&1`: the shell, and what goes to stderr itself, write there too. */
static void shares_a_redirected_stderr(void **state)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(log_open(fd, LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, NULL), 0);
    log_info("first");
    log_flush();
    assert_int_equal(write(fd, "of the shell\n", 13), 13);
    log_info("second");
    log_flush();
    close(fd);
    char *text = read_file();
    char *first = strstr(text, ": first\n"), *shell = strstr(text, "\nof the shell\n"),
         *second = strstr(text, ": second\n");
    if (!first || !shell || !second || first > shell || shell > second)
        fail_msg("%s", text);
}

static void keeps_lines_of_processes_apart(void **state)
{
    enum { CHILDREN = 4, LINES = 500, BYTES = 5000 };
    char line[BYTES];
    for (int c = 0; c < CHILDREN; c++) {
        if (fork() == 0) {
            open_file(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
            memset(line, 'a' + c, sizeof line);
            for (int i = 0; i < LINES; i++) {
                log_line(line, 1 + (size_t)(i * 37 % BYTES));
                if (i % 3 == 0)
                    log_flush();
            }
            log_flush();
            _exit(0);
        }
    }
    int status;
    while (wait(&status) > 0)
        assert_int_equal(status, 0);
    FILE *f = fopen(path, "r");
    int n = 0;
    for (char text[BYTES + 8]; fgets(text, sizeof text, f); n++) {
        size_t len = strlen(text) - 1;
        assert_int_equal(text[len], '\n');
        assert_int_equal(strspn(text, (char[]){text[0], '\0'}), len);
    }
    fclose(f);
    assert_int_equal(n, CHILDREN * LINES);
}

static void refuses_a_sink_and_keeps_the_old_one(void **state)
{
    struct errbuf e;
    open_file(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    assert_int_equal(log_open(-1, LOG_TO_FILE, LOG_FORMAT_JSON, LOG_LEVEL_INFO, &e), -1);
    assert_int_equal(log_sink_open(LOG_TO_FILE, "/nonexistent/log", &e), -1);
    assert_non_null(strstr(e.msg, "/nonexistent/log"));
    log_info("still here");
    assert_non_null(strstr(read_file(), "still here\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_json),
        TEST(writes_text_that_nothing_forges),
        TEST(writes_request_lines_for_people),
        TEST(writes_to_the_journal),
        TEST(cuts_a_long_diagnostic_into_valid_json),
        TEST(holds_back_what_repeats),
        TEST(never_waits_for_a_pipe),
        TEST(never_waits_for_a_stream_socket),
        TEST(counts_a_line_that_is_too_long),
        TEST(reopens_after_rotation),
        TEST(shares_a_redirected_stderr),
        TEST(keeps_lines_of_processes_apart),
        TEST(refuses_a_sink_and_keeps_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
