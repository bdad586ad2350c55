#include "bench/measure.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/swarm.h"

/* The first numbers of a file of /proc. */
static int read_numbers(const char *path, long long *first, long long *second)
{
    FILE *file = fopen(path, "re");
    int count = 0;

    if (file == NULL) return 0;
    count = fscanf(file, "%lld %lld", first, second);
    (void)fclose(file);
    return count;
}

int64_t qb_measure_cpu_us(int pid)
{
    char path[64];
    int64_t sum_ns = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL) qb_load_fail("no process %d", pid);
    for (const struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
        char stat[340];
        long long ran_ns = 0;
        long long waited_ns = 0;
        if (task->d_name[0] == '.') continue;
        (void)snprintf(stat, sizeof stat, "%s/%s/schedstat", path, task->d_name);
        if (read_numbers(stat, &ran_ns, &waited_ns) == 2) sum_ns += ran_ns;
    }
    (void)closedir(tasks);
    return sum_ns / 1000;
}

int64_t qb_measure_rss(int pid)
{
    char path[64];
    long long size = 0;
    long long resident = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/statm", pid);
    if (read_numbers(path, &size, &resident) != 2) qb_load_fail("no process %d", pid);
    return resident * sysconf(_SC_PAGESIZE);
}

int64_t qb_measure_member(const char *text, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    const char *at = memmem(text, length, name, name_length);

    if (at == NULL) return -1;
    return strtoll(at + name_length, NULL, 10); /* the swarm ends what it hands over with a zero */
}
