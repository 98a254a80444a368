/*
 * shm.h: the shared memory segments, in runtime_dir or without a name.
 *
 * The master creates (or adopts) every segment before it spawns a child and keeps the descriptor;
 * children attach by the descriptor they inherit and open no file. Each segment begins with a
 * struct shm_header; what follows belongs to its module: fixed sizes, static_asserted, indexes and
 * never pointers, since every process maps it elsewhere.
 *
 * A segment is never resized while a process may have it mapped (a shorter file is SIGBUS). One
 * that doesn't fit is replaced by a new file under the same name; who has the old one mapped keeps
 * the old one. All its pages are reserved at creation, so a full runtime_dir is an error of the
 * start and not a SIGBUS under load.
 */
#ifndef GW_COMMON_SHM_H
#define GW_COMMON_SHM_H

#include "common/errbuf.h"

enum { SHM_NAME_BYTES = 16, SHM_BOOT_ID_BYTES = 16, SHM_HEADER_BYTES = 128 };

struct shm_header {
    uint64_t magic;  /* SHM_MAGIC, written last at creation */
    uint32_t layout; /* of the body, its module's number */
    uint32_t header_bytes;
    uint64_t total_bytes;
    uint8_t boot_id[SHM_BOOT_ID_BYTES];
    int64_t created_wall_us;
    char name[SHM_NAME_BYTES];
    uint8_t reserved[64];
};
_Static_assert(sizeof(struct shm_header) == SHM_HEADER_BYTES, "shared layout");

#define SHM_MAGIC UINT64_C(0x31304d4853574721) /* "!GWSHM01" */

/* What the program expects. */
struct shm_spec {
    const char *name; /* file runtime_dir/<name>.shm, at most 15 bytes */
    uint32_t layout;
    size_t total_bytes; /* header included */
};

/* A mapping of this process. */
struct shm {
    struct shm_header *header;
    size_t total_bytes;
    int fd; /* owned; close-on-exec. -1 when not mapped */
};

enum shm_origin { SHM_CREATED, SHM_ADOPTED };

/* Master: adopts the segment of that name when layout, size and boot id agree, else creates one
 * (zeroed body). O_NOFOLLOW, 0600, owner checked. 0 or -1. */
GW_MUSTUSE int shm_open_or_create(int dir_fd, const struct shm_spec *spec, struct shm *out,
                                  enum shm_origin *origin, struct errbuf *e);
/* Master: like the above, but whatever is there is replaced. */
GW_MUSTUSE int shm_create(int dir_fd, const struct shm_spec *spec, struct shm *out,
                          struct errbuf *e);
/* Master: maps what is there if it is a whole segment of this boot and name, of any layout and
 * size: for self-describing segments. 1 found, 0 nothing usable there, -1 error. */
GW_MUSTUSE int shm_open_existing(int dir_fd, const char *name, struct shm *out, struct errbuf *e);
/* Master: a segment without a file, which ends with the last process that has it: for what may not
 * be found under a name. Its pages are taken when they are first written to. */
GW_MUSTUSE int shm_create_memory(const struct shm_spec *spec, struct shm *out, struct errbuf *e);
/* Child: maps the inherited descriptor and checks name and layout; takes `fd` on success. A
 * `total_bytes` of 0 in the spec accepts the size that the header says. */
GW_MUSTUSE int shm_attach(int fd, const struct shm_spec *spec, struct shm *out, struct errbuf *e);
/* Unmaps and closes; harmless on one that isn't mapped. */
void shm_detach(struct shm *s);

static inline void *shm_body(const struct shm *s)
{
    return (char *)s->header + SHM_HEADER_BYTES;
}

#endif
