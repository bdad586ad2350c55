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

void qb_samples_add(struct qb_samples *samples, int64_t us)
{
    if (samples->count == samples->room) {
        samples->room = samples->room == 0 ? 4096 : samples->room * 2;
        samples->us = realloc(samples->us, samples->room * sizeof *samples->us);
        if (samples->us == NULL) qb_load_fail("no memory for samples");
    }
    samples->us[samples->count++] = us;
}

void qb_samples_fini(struct qb_samples *samples)
{
    free(samples->us);
    *samples = (struct qb_samples){0};
}

static int compare(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;

    return (*a > *b) - (*a < *b);
}

int64_t qb_samples_at(struct qb_samples *samples, double part)
{
    if (samples->count == 0) return 0;
    qsort(samples->us, samples->count, sizeof *samples->us, compare);
    return samples->us[(size_t)(part * (double)(samples->count - 1))];
}

int64_t qb_measure_member(const char *text, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    const char *at = memmem(text, length, name, name_length);

    if (at == NULL) return -1;
    return strtoll(at + name_length, NULL, 10); /* the swarm ends what it hands over with a zero */
}
