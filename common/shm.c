/*
 * shm.c: creating, adopting and attaching shared memory segments.
 *
 * A new segment is made under a temporary name, filled in, and renamed: whoever opens the name sees
 * a whole one or none. Knows nothing about what is inside.
 */
#include "common/shm.h"

#include "common/check.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_NAME_BYTES = SHM_NAME_BYTES + 8 };

static void file_name(char out[FILE_NAME_BYTES], const char *name, const char *suffix)
{
    GW_REQUIRE(strlen(name) < SHM_NAME_BYTES);
    snprintf(out, FILE_NAME_BYTES, "%s%s", name, suffix);
}

/* /proc/sys/kernel/random/boot_id is a UUID that changes with every boot (random(4)). */
static int read_boot_id(uint8_t out[SHM_BOOT_ID_BYTES], struct errbuf *e)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char text[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n < 0)
        err_set_errno(e, "cannot read %s", path);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return -1;
    unsigned digits = 0;
    memset(out, 0, SHM_BOOT_ID_BYTES);
    for (const char *p = text; *p && digits < 2 * SHM_BOOT_ID_BYTES; p++) {
        unsigned v = (unsigned char)*p;
        if (v == '-')
            continue;
        v = v >= 'a' ? v - 'a' + 10 : v - '0';
        if (v > 15)
            break;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | v);
        digits++;
    }
    return digits == 2 * SHM_BOOT_ID_BYTES ? 0 : err_set(e, "%s holds no UUID", path);
}

static int map(int fd, size_t total_bytes, struct shm *out, struct errbuf *e)
{
    void *p = mmap(NULL, total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return err_set_errno(e, "cannot map %zu bytes of shared memory", total_bytes);
    *out = (struct shm){p, total_bytes, fd};
    return 0;
}

static int write_header(int fd, const struct shm_spec *spec, struct shm *out, struct errbuf *e)
{
    struct shm_header h = {
        .layout = spec->layout,
        .header_bytes = SHM_HEADER_BYTES,
        .total_bytes = spec->total_bytes,
        .created_wall_us = clock_wall_us(),
    };
    memcpy(h.name, spec->name, strlen(spec->name));
    if (read_boot_id(h.boot_id, e) != 0 || map(fd, spec->total_bytes, out, e) != 0)
        return -1;
    memcpy(out->header, &h, sizeof h);
    __atomic_store_n(&out->header->magic, SHM_MAGIC, __ATOMIC_RELEASE);
    return 0;
}

static int fill_new(int fd, const char *file, const struct shm_spec *spec, struct shm *out,
                    struct errbuf *e)
{
    int rc = posix_fallocate(fd, 0, (off_t)spec->total_bytes);
    if (rc != 0) {
        errno = rc;
        return err_set_errno(e, "no room for %zu KiB of shared memory (%s in runtime_dir)",
                             spec->total_bytes / 1024, file);
    }
    return write_header(fd, spec, out, e);
}

int shm_create_memory(const struct shm_spec *spec, struct shm *out, struct errbuf *e)
{
    *out = (struct shm){.fd = -1};
    int fd = memfd_create(spec->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_set_errno(e, "cannot create shared memory %s", spec->name);
    if (ftruncate(fd, (off_t)spec->total_bytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        err_set_errno(e, "cannot size shared memory %s", spec->name);
    else if (write_header(fd, spec, out, e) == 0)
        return 0;
    close(fd);
    return -1;
}

int shm_create(int dir_fd, const struct shm_spec *spec, struct shm *out, struct errbuf *e)
{
    char file[FILE_NAME_BYTES], fresh[FILE_NAME_BYTES];
    file_name(file, spec->name, ".shm");
    file_name(fresh, spec->name, ".new");
    *out = (struct shm){.fd = -1};
    GW_REQUIRE(spec->total_bytes > SHM_HEADER_BYTES);

    if (unlinkat(dir_fd, fresh, 0) != 0 && errno != ENOENT)
        return err_set_errno(e, "cannot remove %s in runtime_dir", fresh);
    int fd = openat(dir_fd, fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set_errno(e, "cannot create %s in runtime_dir", fresh);
    if (fill_new(fd, file, spec, out, e) != 0)
        goto fail;
    if (renameat(dir_fd, fresh, dir_fd, file) != 0) {
        err_set_errno(e, "cannot rename %s to %s in runtime_dir", fresh, file);
        goto fail;
    }
    return 0;
fail:
    if (out->header)
        munmap(out->header, out->total_bytes);
    *out = (struct shm){.fd = -1};
    close(fd);
    unlinkat(dir_fd, fresh, 0);
    return -1;
}

/* What is wrong with a mapped header, or NULL. */
static const char *header_fault(const struct shm *s, const char *name)
{
    const struct shm_header *h = s->header;
    char padded[SHM_NAME_BYTES] = "";
    memcpy(padded, name, strlen(name));
    if (__atomic_load_n(&h->magic, __ATOMIC_ACQUIRE) != SHM_MAGIC)
        return "it is not a segment of this program";
    if (memcmp(h->name, padded, sizeof padded) != 0)
        return "it is another segment";
    if (h->header_bytes != SHM_HEADER_BYTES || h->total_bytes != s->total_bytes)
        return "its size is not what its header says";
    return NULL;
}

int shm_open_existing(int dir_fd, const char *name, struct shm *out, struct errbuf *e)
{
    char file[FILE_NAME_BYTES];
    uint8_t boot_id[SHM_BOOT_ID_BYTES];
    struct stat st;
    file_name(file, name, ".shm");
    *out = (struct shm){.fd = -1};
    int fd = openat(dir_fd, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOENT)
            return 0;
        return err_set_errno(e, "cannot open %s in runtime_dir", file);
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 077) != 0) {
        close(fd);
        return err_set(e,
                       "%s in runtime_dir is not a private file of this user (mode 0600); remove "
                       "it if no gatewayd is running",
                       file);
    }
    if (st.st_size <= SHM_HEADER_BYTES || map(fd, (size_t)st.st_size, out, NULL) != 0) {
        close(fd);
        return 0;
    }
    if (read_boot_id(boot_id, e) != 0) {
        shm_detach(out);
        return -1;
    }
    if (header_fault(out, name) || memcmp(out->header->boot_id, boot_id, sizeof boot_id) != 0) {
        shm_detach(out);
        return 0;
    }
    return 1;
}

int shm_open_or_create(int dir_fd, const struct shm_spec *spec, struct shm *out,
                       enum shm_origin *origin, struct errbuf *e)
{
    int found = shm_open_existing(dir_fd, spec->name, out, e);
    if (found < 0)
        return -1;
    if (found && out->header->layout == spec->layout && out->total_bytes == spec->total_bytes) {
        *origin = SHM_ADOPTED;
        return 0;
    }
    if (found)
        shm_detach(out);
    *origin = SHM_CREATED;
    return shm_create(dir_fd, spec, out, e);
}

int shm_attach(int fd, const struct shm_spec *spec, struct shm *out, struct errbuf *e)
{
    struct stat st;
    *out = (struct shm){.fd = -1};
    if (fstat(fd, &st) != 0)
        return err_set_errno(e, "shared memory %s: descriptor %d", spec->name, fd);
    if (st.st_size <= SHM_HEADER_BYTES)
        return err_set(e, "shared memory %s: file too short", spec->name);
    if (map(fd, (size_t)st.st_size, out, e) != 0)
        return -1;
    const char *fault = header_fault(out, spec->name);
    if (!fault && out->header->layout != spec->layout)
        fault = "its layout is another version's";
    if (!fault && spec->total_bytes != 0 && out->total_bytes != spec->total_bytes)
        fault = "its size is not what this program expects";
    if (fault) {
        munmap(out->header, out->total_bytes);
        *out = (struct shm){.fd = -1};
        return err_set(e, "shared memory %s: %s", spec->name, fault);
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

void shm_detach(struct shm *s)
{
    if (!s->header)
        return;
    munmap(s->header, s->total_bytes);
    close(s->fd);
    *s = (struct shm){.fd = -1};
}
