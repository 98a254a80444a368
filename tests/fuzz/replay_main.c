/*
 * replay_main.c: runs files through a fuzz target's entry point where libFuzzer isn't linked in.
 *
 * Arguments are files or directories (not searched deeper). Prints how many inputs it ran.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_replayed;

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "replay: %s: ", path);
    perror(what);
    exit(1);
}

static void replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    /* The exact size, so that a sanitizer sees a read behind the end. */
    uint8_t *data = malloc(size ? size : 1);
    if (!f || !data || fread(data, 1, size, f) != size)
        fail("read", path);
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    n_replayed++;
}

static void replay(const char *path, int depth)
{
    struct stat st;
    if (stat(path, &st) != 0)
        fail("stat", path);
    if (S_ISREG(st.st_mode)) {
        replay_file(path, (size_t)st.st_size);
        return;
    }
    if (depth > 0)
        return;
    DIR *dir = opendir(path);
    if (!dir)
        fail("opendir", path);
    for (struct dirent *e; (e = readdir(dir));) {
        char child[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(child, sizeof child, "%s/%s", path, e->d_name);
        replay(child, depth + 1);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i], 0);
    printf("%u inputs replayed\n", n_replayed);
    return 0;
}
