/*
 * segments.c: sizes and layouts of the segments.
 */
#include "gatewayd/segments.h"

#include "common/dns_shm.h"
#include "common/money.h"
#include "common/objects_shm.h"
#include "common/token_shm.h"
#include "gatewayd/control_shm.h"

#include <fcntl.h>
#include <unistd.h>

enum {
    DNS_LAYOUT = 1,
    /* Attempts of a daemon that are open or not yet in the ledger, shared out between its workers:
     * streams up to twice the default max_connections, and what a commit interval adds. */
    SLOTS_IN_ALL = 32768,
    SLOTS_PER_REGION_MIN = 2048,
    SLOTS_PER_REGION_MAX = 8192,
    MONEY_CELLS = 65536,
    /* A reload may raise the number of workers to this, or to that of cores, without a restart. */
    WORKERS_PREPARED = 4,
    /* At least these are for dead workers that wait for the keeper. */
    SPARE_REGIONS = 2,
};

static struct shm_spec dns_spec(void)
{
    return (struct shm_spec){
        .name = "dns", .layout = DNS_LAYOUT, .total_bytes = SHM_HEADER_BYTES + dns_seg_bytes()};
}

static int open_dns(int dir, struct shm *out, struct errbuf *e)
{
    struct shm_spec spec = dns_spec();
    enum shm_origin origin;
    if (shm_open_or_create(dir, &spec, out, &origin, e) < 0)
        return -1;
    struct dns_seg *seg = shm_body(out);
    size_t body_bytes = out->total_bytes - SHM_HEADER_BYTES;
    if (origin == SHM_CREATED || dns_seg_check(seg, body_bytes, out->header->boot_id, NULL) < 0)
        dns_seg_format(seg, out->header->boot_id);
    return 0;
}

static int open_tokens(struct shm *out, struct errbuf *e)
{
    struct shm_spec spec = token_seg_spec();
    if (shm_create_memory(&spec, out, e) < 0)
        return -1;
    (void)token_seg_of(out);
    return 0;
}

static int open_money_and_objects(int dir, unsigned n_workers, struct segments *s, struct errbuf *e)
{
    unsigned cores = (unsigned)GW_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
    unsigned slots =
        GW_MAX(SLOTS_IN_ALL / GW_MAX(n_workers, cores), (unsigned)SLOTS_PER_REGION_MIN);
    struct money_geometry want = {.regions =
                                      GW_MAX(GW_MAX(n_workers, cores), (unsigned)WORKERS_PREPARED) +
                                      GW_MAX(n_workers, (unsigned)SPARE_REGIONS),
                                  .slots_per_region = GW_MIN(slots, (unsigned)SLOTS_PER_REGION_MAX),
                                  .cells = MONEY_CELLS};
    enum shm_origin origin;
    struct money m;
    if (money_segment_open(dir, &want, &s->money, &origin, e) < 0)
        return -1;
    if (money_attach(&m, &s->money, -1, e) < 0)
        return -1;
    s->max_workers = m.header->region_count - SPARE_REGIONS;
    return objects_segment_open(dir, m.header->region_count, &s->objects, e);
}

int segments_open(const char *runtime_dir, unsigned n_workers, struct segments *out,
                  struct errbuf *e)
{
    *out = (struct segments){
        .control.fd = -1, .money.fd = -1, .dns.fd = -1, .objects.fd = -1, .tokens.fd = -1};
    int dir = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set_errno(e, "can't open runtime_dir %s", runtime_dir);
    int rc = -1;
    if (control_create(dir, &out->control, e) == 0 && open_dns(dir, &out->dns, e) == 0 &&
        open_tokens(&out->tokens, e) == 0)
        rc = open_money_and_objects(dir, n_workers, out, e);
    close(dir);
    if (rc < 0)
        segments_close(out);
    return rc;
}

void segments_close(struct segments *s)
{
    shm_detach(&s->control);
    shm_detach(&s->money);
    shm_detach(&s->dns);
    shm_detach(&s->objects);
    shm_detach(&s->tokens);
}

int segment_attach(enum ipc_fd_kind kind, int fd, struct shm *out, struct errbuf *e)
{
    struct shm_spec dns = dns_spec(), tokens = token_seg_spec();
    /* Self-describing: adopted from another version too, whatever its size. */
    struct shm_spec money = {.name = "money", .layout = MONEY_LAYOUT};
    struct shm_spec objects = {.name = "objects", .layout = OBJECTS_LAYOUT};
    switch (kind) {
    case IPC_FD_CONTROL:
        return control_attach(fd, out, e);
    case IPC_FD_DNS:
        return shm_attach(fd, &dns, out, e);
    case IPC_FD_TOKENS:
        return shm_attach(fd, &tokens, out, e);
    case IPC_FD_MONEY:
        return shm_attach(fd, &money, out, e);
    case IPC_FD_OBJECTS:
        return shm_attach(fd, &objects, out, e);
    default:
        return err_set(e, "descriptor kind %d is no segment", (int)kind);
    }
}
